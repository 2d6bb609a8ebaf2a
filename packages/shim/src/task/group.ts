/** All containers that this process supervises, and what their verbs share. */
import { BoxshipError, KeyedMutex, type Logger } from '@boxship/base';
import { holdingsOf } from '../keeper/holdings.ts';
import { Keeper } from '../keeper/keeper.ts';
import type { Container } from './container.ts';
import type { TaskEvents } from './events.ts';
import { OnePerTurn } from './one-per-turn.ts';

export interface GroupOptions {
  readonly namespace: string;
  readonly groupId: string;
  /** For short-lived sockets. */
  readonly socketDirectory: string;
  readonly events: TaskEvents;
  readonly log: Logger;
  /** Where the lists of keepers are; undefined when this shim will have no successor. */
  readonly keeperDirectory: string | undefined;
}

export class Group {
  readonly options: GroupOptions;
  readonly containers = new Map<string, Container>();
  /** Runs the verbs that change one container one after the other; State, Wait, Stats and exec starts do not take it. */
  readonly turns = new KeyedMutex();
  /** Ends of processes that were noticed and wait to be taken in. */
  readonly exits = new OnePerTurn();
  /** Told of each process that comes, goes, or closes its input. */
  readonly keeper: Keeper | undefined;
  /** Runtime commands that may leave a child which nobody knows yet. */
  #commandsUnderWay = 0;

  constructor(options: GroupOptions) {
    this.options = options;
    const { keeperDirectory, log } = options;
    if (keeperDirectory !== undefined)
      this.keeper = new Keeper(keeperDirectory, () => holdingsOf(this.containers.values()), log);
  }

  get events(): TaskEvents {
    return this.options.events;
  }

  /** @throws notFound with containerd's sentence */
  container(id: string): Container {
    const container = this.containers.get(id);
    if (container === undefined) throw new BoxshipError('notFound', 'container not created');
    return container;
  }

  get isCommandUnderWay(): boolean {
    return this.#commandsUnderWay > 0;
  }

  async duringCommand<T>(work: () => Promise<T>): Promise<T> {
    this.#commandsUnderWay++;
    try {
      return await work();
    } finally {
      this.#commandsUnderWay--;
    }
  }

  /** Pids that are somebody's here. */
  knownPids(): Set<number> {
    const pids = new Set<number>();
    for (const container of this.containers.values()) for (const process of container.processes) pids.add(process.pid);
    return pids;
  }
}
