/** What one execution of the runtime is told. */

/** Descriptors for the container; undefined is /dev/null. */
export interface Stdio {
  readonly stdin?: number | undefined;
  readonly stdout?: number | undefined;
  readonly stderr?: number | undefined;
  /** Further ones, which the process gets as 3, 4, 5 … (`--preserve-fds`). */
  readonly extra?: readonly number[];
}

export interface CallOptions {
  /** Overrides the deadline of the verb. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Told the pid of the runtime when it has started, before anything it does can matter. */
  readonly onSpawn?: (pid: number) => void;
}

export interface Invocation extends CallOptions {
  readonly binary: string;
  readonly globalArguments: readonly string[];
  readonly logDirectory: string;
  readonly verb: string;
  readonly id?: string;
  readonly arguments: readonly string[];
  readonly stdio?: Stdio;
  /** True when standard output is wanted: only for verbs that leave no process behind. */
  readonly isOutputWanted?: boolean;
  /** Undefined: as long as it takes. */
  readonly defaultTimeoutMs: number | undefined;
  readonly workingDirectory?: string;
  /** Beside what every runtime is given. */
  readonly environment?: Readonly<Record<string, string>>;
}
