/**
 * A small virtual machine for what the host's kernel cannot show, cgroup version 2 above all: Debian's cloud kernel under
 * qemu in software emulation, with the host's own files as its root, so that a test runs there as it is. What it writes stays
 * in its memory.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EXIT_MARK, initramfs } from './initramfs.ts';

const fileServers = ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd'];
const emulator = '/usr/bin/qemu-system-x86_64';
const busybox = '/bin/busybox';

export interface MachineOptions {
  /** A shell command; runs in `directory` with the host's files. */
  readonly command: string;
  readonly directory: string;
  readonly timeoutMs: number;
  readonly memoryMb?: number;
}

export interface MachineResult {
  readonly code: number;
  readonly output: string;
}

/** What the host lacks for a machine; empty: {@link runInVirtualMachine} works. */
export function missingForMachine(): string[] {
  const kernel = findKernel();
  return [
    ...(kernel === undefined ? ['a kernel with modules in /boot (linux-image-cloud-amd64)'] : []),
    ...(existsSync(emulator) ? [] : [emulator]),
    ...(findFileServer() === undefined ? ['virtiofsd'] : []),
    ...(existsSync(busybox) ? [] : [busybox]),
  ];
}

/** Boots, runs the command, switches off. @throws when the machine does not come so far; its console is in the message */
export async function runInVirtualMachine(options: MachineOptions): Promise<MachineResult> {
  const kernel = findKernel();
  const fileServer = findFileServer();
  if (kernel === undefined || fileServer === undefined)
    throw new Error(`no virtual machine here: ${missingForMachine().join(', ')}`);
  const directory = mkdtempSync(join(tmpdir(), 'boxship-vm-'));
  const at = (name: string) => join(directory, name);
  const children: ChildProcess[] = [];
  const start = (program: string, args: readonly string[]) => {
    const child = spawn(program, args, { stdio: 'ignore' });
    children.push(child);
    return child;
  };
  try {
    const { command, directory: workingDirectory } = options;
    writeFileSync(
      at('initramfs'),
      initramfs({ modules: kernel.modules, busybox, command, directory: workingDirectory }),
    );
    const share = ['-o', 'source=/', '-o', 'sandbox=chroot', '-o', 'cache=always'];
    start(fileServer, [`--socket-path=${at('files.sock')}`, ...share]);
    await until(() => existsSync(at('files.sock')), 5_000);
    const machine = start(emulator, machineArguments(kernel.image, at, options.memoryMb ?? 2048));
    await ended(machine, options.timeoutMs);
    const output = existsSync(at('output')) ? readFileSync(at('output'), 'utf8') : '';
    const mark = output.lastIndexOf(EXIT_MARK);
    if (mark < 0)
      throw new Error(
        `the virtual machine did not finish:\n${output}\nconsole:\n${readFileSync(at('console'), 'utf8')}`,
      );
    return { code: Number.parseInt(output.slice(mark + EXIT_MARK.length), 10), output: output.slice(0, mark) };
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

function machineArguments(kernel: string, at: (name: string) => string, memoryMb: number): string[] {
  return [
    // not kvm: nested virtualization is absent or broken on many machines that run tests
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '2', '-m', `${memoryMb}M`],
    // the file server reads and writes the machine's memory
    ...['-object', `memory-backend-memfd,id=memory,size=${memoryMb}M,share=on`, '-numa', 'node,memdev=memory'],
    ...['-chardev', `socket,id=files,path=${at('files.sock')}`],
    ...['-device', 'vhost-user-fs-pci,chardev=files,tag=host'],
    ...['-nodefaults', '-display', 'none', '-no-reboot'],
    ...['-serial', `file:${at('console')}`, '-serial', `file:${at('output')}`],
    ...['-kernel', kernel, '-initrd', at('initramfs'), '-append', 'console=ttyS0 quiet panic=-1'],
  ];
}

/** The newest kernel of the distribution that has its modules beside it. */
function findKernel(): { readonly image: string; readonly modules: string } | undefined {
  if (!existsSync('/boot')) return undefined;
  const releases = readdirSync('/boot')
    .filter((name) => name.startsWith('vmlinuz-'))
    .map((name) => name.slice('vmlinuz-'.length))
    .filter((release) => existsSync(`/lib/modules/${release}/modules.dep`))
    .toSorted();
  const release = releases.findLast((each) => each.includes('cloud')) ?? releases.at(-1);
  return release === undefined ? undefined : { image: `/boot/vmlinuz-${release}`, modules: `/lib/modules/${release}` };
}

function findFileServer(): string | undefined {
  return fileServers.find((path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false; // not there: the next place
    }
  });
}

async function ended(child: ChildProcess, timeoutMs: number): Promise<void> {
  const exit = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
  await exit;
  clearTimeout(timer);
}

async function until(what: () => boolean, timeoutMs: number): Promise<void> {
  for (const end = performance.now() + timeoutMs; !what(); ) {
    if (performance.now() > end) throw new Error('the file server of the virtual machine does not listen');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
