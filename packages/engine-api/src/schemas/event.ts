/** Engine events: one JSON object per line of `GET /events`. */
export interface EventMessage {
  /** Only for container and image events (until 1.52). */
  status?: string;
  id?: string;
  from?: string;
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: 'local' | 'swarm';
  time: number;
  timeNano: number;
}
