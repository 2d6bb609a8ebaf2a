export { callAsync, check, declare, errnoName, lastErrno, systemError, type ForeignFunction } from './libc.ts';
