/** Makes orphans of our descendants our own children (prctl(2)): the init that `runc create` leaves behind becomes ours. */
import { check, declare } from './libc.ts';

const prctl = declare('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
const PR_SET_CHILD_SUBREAPER = 36;
const PR_SET_NAME = 15;
const prctlText = declare('int prctl(int option, const char *text, unsigned long b, unsigned long c, unsigned long d)');

export function becomeSubreaper(): void {
  check(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 'prctl PR_SET_CHILD_SUBREAPER');
}

/** The name that `ps` and `top` show, at most 15 bytes. */
export function setProcessName(name: string): void {
  check(prctlText(PR_SET_NAME, name, 0, 0, 0), 'prctl PR_SET_NAME');
}
