/** The contract of the wires on the calling side: one call at a time of a service whose server may be started again meanwhile. */

/** A method as ts-proto generates it. */
export interface Method<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

export interface Transport extends Disposable {
  /**
   * Waits for a server that is not there yet.
   * @throws what the server threw; unavailable with `details.isTransport` when the connection ended under the call, which may or
   * may not have been carried out; deadlineExceeded with the address
   */
  call<Request, Response>(method: Method<Request, Response>, request: Request, timeoutMs: number): Promise<Response>;
}

/** Whether an error is the transport's own, as opposed to the server's. */
export const transportDetails = { isTransport: true } as const;
