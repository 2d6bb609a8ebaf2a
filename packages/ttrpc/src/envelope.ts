/**
 * Bodies of request and response frames, written by hand because this package depends on no generated code:
 *   Request  { 1 service, 2 method, 3 payload, 4 timeout_nano, 5 metadata[]{ 1 key, 2 value } }
 *   Response { 1 status { 1 code, 2 message, 3 details[]{ 1 type_url, 2 value } }, 2 payload }
 * An absent status is OK. Unknown fields are skipped. Of the details one is ours: the kind of an error, where codes are fewer.
 */
import { BoxshipError, type ErrorKind, type GrpcStatus, isErrorKind } from '@boxship/base';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

export type Metadata = Readonly<Record<string, string>>;

export interface RequestEnvelope {
  readonly service: string;
  readonly method: string;
  readonly payload: Uint8Array;
  /** Nanoseconds left to the caller; 0 for no limit. */
  readonly timeoutNs: bigint;
  readonly metadata: Metadata;
}

export interface ResponseEnvelope {
  readonly status: GrpcStatus | undefined;
  readonly payload: Uint8Array;
}

const tag = (field: number, wireType: number) => (field << 3) | wireType;
const VARINT = 0;
const BYTES = 2;
const EMPTY = new Uint8Array(0);
const kindUrl = 'boxship/error-kind';

export function encodeRequest(request: RequestEnvelope): Uint8Array {
  const writer = new BinaryWriter();
  writer.uint32(tag(1, BYTES)).string(request.service);
  writer.uint32(tag(2, BYTES)).string(request.method);
  if (request.payload.length > 0) writer.uint32(tag(3, BYTES)).bytes(request.payload);
  if (request.timeoutNs > 0n) writer.uint32(tag(4, VARINT)).int64(request.timeoutNs);
  for (const [key, value] of Object.entries(request.metadata)) {
    writer.uint32(tag(5, BYTES)).fork();
    writer.uint32(tag(1, BYTES)).string(key).uint32(tag(2, BYTES)).string(value);
    writer.join();
  }
  return writer.finish();
}

export function decodeRequest(body: Uint8Array): RequestEnvelope {
  let service = '';
  let method = '';
  let payload: Uint8Array = EMPTY;
  let timeoutNs = 0n;
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  eachField(body, (field, reader) => {
    if (field === tag(1, BYTES)) service = reader.string();
    else if (field === tag(2, BYTES)) method = reader.string();
    else if (field === tag(3, BYTES)) payload = reader.bytes();
    else if (field === tag(4, VARINT)) timeoutNs = BigInt(reader.int64());
    else if (field === tag(5, BYTES)) {
      let key = '';
      let value = '';
      eachField(reader.bytes(), (inner, entry) => {
        if (inner === tag(1, BYTES)) key = entry.string();
        else if (inner === tag(2, BYTES)) value = entry.string();
        else return false;
        return true;
      });
      metadata[key] = value;
    } else return false;
    return true;
  });
  return { service, method, payload, timeoutNs, metadata };
}

export function encodeResponse(response: ResponseEnvelope): Uint8Array {
  const writer = new BinaryWriter();
  if (response.status !== undefined) {
    const { code, message, kind } = response.status;
    writer.uint32(tag(1, BYTES)).fork();
    writer.uint32(tag(1, VARINT)).int32(code).uint32(tag(2, BYTES)).string(message);
    if (kind !== undefined)
      writer
        .uint32(tag(3, BYTES))
        .fork()
        .uint32(tag(1, BYTES))
        .string(kindUrl)
        .uint32(tag(2, BYTES))
        .string(kind)
        .join();
    writer.join();
  }
  if (response.payload.length > 0) writer.uint32(tag(2, BYTES)).bytes(response.payload);
  return writer.finish();
}

export function decodeResponse(body: Uint8Array): ResponseEnvelope {
  let status: GrpcStatus | undefined;
  let payload: Uint8Array = EMPTY;
  eachField(body, (field, reader) => {
    if (field === tag(1, BYTES)) status = decodeStatus(reader.bytes());
    else if (field === tag(2, BYTES)) payload = reader.bytes();
    else return false;
    return true;
  });
  return { status, payload };
}

function decodeStatus(body: Uint8Array): GrpcStatus {
  let code = 0;
  let message = '';
  let kind: ErrorKind | undefined;
  eachField(body, (field, reader) => {
    if (field === tag(1, VARINT)) code = reader.int32();
    else if (field === tag(2, BYTES)) message = reader.string();
    else if (field === tag(3, BYTES)) kind = decodeKind(reader.bytes()) ?? kind;
    else return false;
    return true;
  });
  return kind === undefined ? { code, message } : { code, message, kind };
}

/** undefined for details of others. */
function decodeKind(body: Uint8Array): ErrorKind | undefined {
  let url = '';
  let value: Uint8Array = EMPTY;
  eachField(body, (field, reader) => {
    if (field === tag(1, BYTES)) url = reader.string();
    else if (field === tag(2, BYTES)) value = reader.bytes();
    else return false;
    return true;
  });
  const text = url === kindUrl ? Buffer.from(value).toString() : '';
  return isErrorKind(text) ? text : undefined;
}

/** Walks the fields; `take` answers false for one that it did not read. */
function eachField(body: Uint8Array, take: (field: number, reader: BinaryReader) => boolean): void {
  const reader = new BinaryReader(body);
  try {
    while (reader.pos < reader.len) {
      const field = reader.uint32();
      if (!take(field, reader)) reader.skip(field & 7, field >>> 3);
    }
  } catch (error) {
    throw new BoxshipError('invalidArgument', 'malformed ttrpc message', { cause: error });
  }
}
