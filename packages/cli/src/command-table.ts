/** Words to commands. Each entry loads its module only when it is called: a client's start is most of its run time. */
import type { Command } from './command.ts';

type Load = () => Promise<Command>;

const container = {
  attach: async () => (await import('./commands/container/attach.ts')).default,
  create: async () => (await import('./commands/container/create.ts')).default,
  exec: async () => (await import('./commands/container/exec.ts')).default,
  kill: async () => (await import('./commands/container/simple.ts')).kill,
  logs: async () => (await import('./commands/container/logs.ts')).default,
  pause: async () => (await import('./commands/container/simple.ts')).pause,
  port: async () => (await import('./commands/container/simple.ts')).port,
  ps: async () => (await import('./commands/container/ps.ts')).default,
  rename: async () => (await import('./commands/container/simple.ts')).rename,
  restart: async () => (await import('./commands/container/simple.ts')).restart,
  rm: async () => (await import('./commands/container/simple.ts')).rm,
  run: async () => (await import('./commands/container/run.ts')).default,
  start: async () => (await import('./commands/container/start.ts')).default,
  stats: async () => (await import('./commands/container/stats.ts')).default,
  stop: async () => (await import('./commands/container/simple.ts')).stop,
  top: async () => (await import('./commands/container/simple.ts')).top,
  unpause: async () => (await import('./commands/container/simple.ts')).unpause,
  wait: async () => (await import('./commands/container/simple.ts')).wait,
} as const satisfies Record<string, Load>;

const image = {
  history: async () => (await import('./commands/image/simple.ts')).history,
  import: async () => (await import('./commands/image/simple.ts')).importImage,
  pull: async () => (await import('./commands/image/simple.ts')).pull,
  tag: async () => (await import('./commands/image/simple.ts')).tag,
} as const satisfies Record<string, Load>;

const images: Load = async () => (await import('./commands/image/images.ts')).default;
const rmi: Load = async () => (await import('./commands/image/simple.ts')).rmi;
const network = async () => await import('./commands/network/commands.ts');
const volume = async () => await import('./commands/volume/commands.ts');
const system = async () => await import('./commands/system/commands.ts');
const inspect = async () => await import('./commands/system/inspect.ts');

const prefixed = (prefix: string, commands: Readonly<Record<string, Load>>): [string, Load][] =>
  Object.entries(commands).map(([word, load]) => [`${prefix} ${word}`, load]);

/** One or two words → how the command is loaded. */
export const commandTable: ReadonlyMap<string, Load> = new Map<string, Load>([
  ...Object.entries(container),
  ...prefixed('container', container),
  ['container ls', container.ps],
  ['container list', container.ps],
  ['container remove', container.rm],
  ['container inspect', async () => (await inspect()).containerInspect],
  ...Object.entries(image),
  ...prefixed('image', image),
  ['images', images],
  ['image ls', images],
  ['image list', images],
  ['rmi', rmi],
  ['image rm', rmi],
  ['image remove', rmi],
  ['image inspect', async () => (await inspect()).imageInspect],
  ['network ls', async () => (await network()).list],
  ['network list', async () => (await network()).list],
  ['network create', async () => (await network()).create],
  ['network rm', async () => (await network()).remove],
  ['network remove', async () => (await network()).remove],
  ['network connect', async () => (await network()).connect],
  ['network disconnect', async () => (await network()).disconnect],
  ['network inspect', async () => (await inspect()).networkInspect],
  ['volume ls', async () => (await volume()).list],
  ['volume list', async () => (await volume()).list],
  ['volume create', async () => (await volume()).create],
  ['volume rm', async () => (await volume()).remove],
  ['volume remove', async () => (await volume()).remove],
  ['volume prune', async () => (await volume()).prune],
  ['volume inspect', async () => (await inspect()).volumeInspect],
  ['version', async () => (await system()).version],
  ['info', async () => (await system()).info],
  ['system info', async () => (await system()).info],
  ['events', async () => (await system()).events],
  ['system events', async () => (await system()).events],
  ['inspect', async () => (await inspect()).default],
]);
