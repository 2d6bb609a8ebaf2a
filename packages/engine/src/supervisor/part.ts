/** What the supervisor must know of a part: how to start it and how to tell that it serves. */
export interface Part {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** A socket that accepts connections once the part serves. */
  readonly readySocket: string;
  /** Seconds an orderly stop may take before the part is killed. */
  readonly stopSeconds: number;
}
