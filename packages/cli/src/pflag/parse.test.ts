import { describe, expect, it } from 'vitest';
import { flag } from './flags.ts';
import { isHelpRequest, parseFlags } from './parse.ts';

const flags = {
  interactive: flag.bool({ short: 'i', help: '' }),
  tty: flag.bool({ short: 't', help: '' }),
  publish: flag.list({ short: 'p', help: '' }),
  'security-opt': flag.strings({ help: '', initial: ['default'] }),
  name: flag.string({ help: '' }),
  memory: flag.bytes({ short: 'm', help: '' }),
  'memory-swap': flag.swap({ help: '' }),
  cpus: flag.cpus({ help: '' }),
  tail: flag.int({ short: 'n', help: '', initial: -1 }),
} as const;
const parse = (args: readonly string[], isInterspersed = false) => parseFlags(args, flags, { isInterspersed });

describe('flags', () => {
  it.each<[string[], Partial<ReturnType<typeof parse>['values']>]>([
    [['-it'], { interactive: true, tty: true }],
    [['-i=false', '-t'], { interactive: false, tty: true }],
    [['--tty=0'], { tty: false }],
    [['-p8080:80', '-p', '53:53/udp', '--publish=1:1'], { publish: ['8080:80', '53:53/udp', '1:1'] }],
    [['-itp', '80'], { interactive: true, tty: true, publish: ['80'] }],
    [['-p=80'], { publish: ['80'] }],
    [['--name', '-x'], { name: '-x' }],
    [['--name='], { name: '' }],
    [['--name=a=b'], { name: 'a=b' }],
    [['-m', '1.5g'], { memory: 1.5 * 1024 ** 3 }],
    [['--memory-swap', '-1'], { 'memory-swap': -1 }],
    [['--cpus', '0.333333333'], { cpus: 333_333_333 }],
    [['--cpus', '.5'], { cpus: 500_000_000 }],
    [['--tail', '-5'], { tail: -5 }],
    [['--security-opt', 'a,b', '--security-opt', 'c'], { 'security-opt': ['a', 'b', 'c'] }],
    [[], { 'security-opt': ['default'], tail: -1, name: '', publish: [] }],
  ])('%j', (args, values) => {
    expect(parse(args).values).toMatchObject(values);
  });

  it('tells which were given', () => {
    expect([...parse(['--name', '', '-t']).given].toSorted()).toEqual(['name', 'tty']);
  });
});

describe('operands', () => {
  it('end the flags, or stand between them', () => {
    const args = ['-t', 'busybox', 'ls', '-i'];
    expect(parse(args)).toMatchObject({ operands: ['busybox', 'ls', '-i'], values: { interactive: false } });
    expect(parse(args, true)).toMatchObject({ operands: ['busybox', 'ls'], values: { interactive: true } });
  });
  it('are what follows --, whatever it looks like, and a lone dash', () => {
    expect(parse(['-t', '--', '-i', '--name'], true).operands).toEqual(['-i', '--name']);
    expect(parse(['-', '-t'], true)).toMatchObject({ operands: ['-'], values: { tty: true } });
  });
});

describe("what is refused, in pflag's words", () => {
  it.each([
    [['--nme'], 'unknown flag: --nme'],
    [['-x'], "unknown shorthand flag: 'x' in -x"],
    [['-tx'], "unknown shorthand flag: 'x' in -x"],
    [['--name'], 'flag needs an argument: --name'],
    [['-p'], "flag needs an argument: 'p' in -p"],
    [
      ['--tty=maybe'],
      'invalid argument "maybe" for "-t, --tty" flag: strconv.ParseBool: parsing "maybe": invalid syntax',
    ],
    [['--tail', 'x'], 'invalid argument "x" for "-n, --tail" flag: strconv.ParseInt: parsing "x": invalid syntax'],
    [['--memory', '1x'], `invalid argument "1x" for "-m, --memory" flag: invalid size: '1x'`],
    [['--cpus', '1.0000000001'], 'invalid argument "1.0000000001" for "--cpus" flag: value is too precise'],
  ])('%j', (args, message) => {
    expect(() => parse(args)).toThrow(expect.objectContaining({ kind: 'invalidArgument', message }));
  });
  it('--help is a request, not an error', () => {
    let thrown: unknown;
    try {
      parse(['--help']);
    } catch (error) {
      thrown = error;
    }
    expect([isHelpRequest(thrown), isHelpRequest(new Error('help'))]).toEqual([true, false]);
  });
});
