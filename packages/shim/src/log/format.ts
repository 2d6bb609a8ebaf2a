/**
 * What a log file's record format must do. The writer cuts the byte stream into lines and parts; a format turns each into
 * one record. Kept apart so that a second format costs no second writer.
 */
export type StreamName = 'stdout' | 'stderr';

/** One line, or one part of a line longer than {@link MAX_LINE_BYTES}. */
export interface LogPiece {
  readonly stream: StreamName;
  readonly bytes: Buffer;
  readonly from: number;
  readonly to: number;
  /** A newline followed the bytes. */
  readonly isLineEnd: boolean;
  /** Part number within a cut line, counted from 1; 0 for a line in one piece. */
  readonly part: number;
}

/** Records of several lines, ready to be written. */
export interface EncodedLines {
  /** One character a byte. */
  readonly latin1: string;
  readonly records: number;
}

export interface LogFormat {
  /** Records end in a newline and hold no other: whole ones can be found from the end of a file. */
  readonly isLineBased: boolean;
  /** Upper bound of a record's size for so many content bytes. */
  maxRecordBytes(contentBytes: number): number;
  /** Sets the time of the records that follow. */
  setTime(epochNs: bigint): void;
  /** Writes the record at `at`; gives the position behind it. */
  encode(out: Buffer, at: number, piece: LogPiece): number;
  /**
   * The records of all lines between `from` and `to`, where a newline follows; undefined when they must be encoded one by
   * one. An optional short cut: what it gives is what {@link encode} would write.
   */
  encodeLines(stream: StreamName, bytes: Buffer, from: number, to: number): EncodedLines | undefined;
  /** Length of the longest prefix of `bytes` that consists of whole records. */
  wholeRecords(bytes: Buffer): number;
}

/** Docker cuts lines at 16 KiB. */
export const MAX_LINE_BYTES = 16 * 1024;
