/** Pseudo terminals: the window size of a master. */
import { check, declare } from './libc.ts';

const ioctl = declare('int ioctl(int fd, unsigned long request, void *argument)');
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** Sets the size and sends SIGWINCH to the foreground process group. */
export function setWindowSize(fd: number, size: WindowSize): void {
  const argument = Buffer.alloc(8);
  argument.writeUInt16LE(size.rows, 0);
  argument.writeUInt16LE(size.columns, 2);
  check(ioctl(fd, TIOCSWINSZ, argument), 'ioctl TIOCSWINSZ');
}

export function windowSize(fd: number): WindowSize {
  const argument = Buffer.alloc(8);
  check(ioctl(fd, TIOCGWINSZ, argument), 'ioctl TIOCGWINSZ');
  return { rows: argument.readUInt16LE(0), columns: argument.readUInt16LE(2) };
}
