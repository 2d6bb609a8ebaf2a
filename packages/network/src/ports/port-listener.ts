/** The contract of what holds a published port: a listener whose connections are carried to a container. */

/** Where the connections go. */
export interface PortTarget {
  readonly address: string;
  readonly port: number;
}

export interface PortListener extends Disposable {
  /** Without a target, connections are refused. */
  target: PortTarget | undefined;
}
