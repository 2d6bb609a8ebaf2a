/** What is read from a log, whatever its format. */

export interface LogEntry {
  /** With its line feed, unless the line goes on in the next entry. */
  readonly line: Buffer;
  readonly stream: 'stdout' | 'stderr';
  /** RFC 3339. */
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>>;
}

export interface LogCodec {
  /** The records that are whole at the head of `bytes`, and how many bytes those take. What cannot be read is left out. */
  decode(bytes: Buffer): { readonly entries: readonly LogEntry[]; readonly taken: number };
  /** A record is a line of text, so that a file can be read from its end. */
  readonly isLineBased: boolean;
}
