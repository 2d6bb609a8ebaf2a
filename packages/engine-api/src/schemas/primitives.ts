/**
 * Small schema pieces shared by all request bodies. Wire rule of the Engine API: `null` means "not set" for every field and
 * keys match case-insensitively; `decode.ts` applies both, so schemas only say what a set field holds.
 */
import { Type } from 'typebox';

export const StringMap = Type.Record(Type.String(), Type.String());
export const StringList = Type.Array(Type.String());
/** A list that old clients send as one string (`Cmd`, `Entrypoint`). */
export const StringOrList = Type.Union([Type.String(), StringList]);
/** Go's `map[string]struct{}`. */
export const StringSet = Type.Record(Type.String(), Type.Object({}));
export const optionalString = Type.Optional(Type.String());
export const optionalInteger = Type.Optional(Type.Integer());
export const optionalBoolean = Type.Optional(Type.Boolean());
