/** Pseudo terminals: window size and output processing of a master. */
import { check, declare } from './libc.ts';

const ioctl = declare('int ioctl(int fd, unsigned long request, void *argument)');
const tcgetattr = declare('int tcgetattr(int fd, void *termios)');
const tcsetattr = declare('int tcsetattr(int fd, int when, const void *termios)');
const TIOCGWINSZ = 0x5413;
const TIOCSWINSZ = 0x5414;
const ONLCR = 0o4;
const TERMIOS_SIZE = 64; // glibc's struct termios is 60 bytes; c_oflag is the second 32-bit word
const OFLAG_AT = 4;

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

/** Stops the line discipline from turning `\n` into `\r\n`: the client's own terminal does that once more. */
export function clearNewlineTranslation(fd: number): void {
  const termios = Buffer.alloc(TERMIOS_SIZE);
  check(tcgetattr(fd, termios), 'tcgetattr');
  termios.writeUInt32LE(termios.readUInt32LE(OFLAG_AT) & ~ONLCR, OFLAG_AT);
  check(tcsetattr(fd, 0, termios), 'tcsetattr');
}
