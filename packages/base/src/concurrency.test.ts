/** One queue per object, one execution per key, any number of readers. */
import { describe, expect, it } from 'vitest';
import { Broadcast } from './broadcast.ts';
import { KeyedMutex } from './keyed-mutex.ts';
import { SingleFlight } from './single-flight.ts';

describe('KeyedMutex', () => {
  it('is idle when the turns that were taken or waited for have ended', async () => {
    const mutex = new KeyedMutex();
    const ended: string[] = [];
    const first = await mutex.acquire('a');
    const second = mutex.run('a', () => void ended.push('second'));
    const idle = mutex.idle().then(() => ended.push('idle'));
    await mutex.run('b', () => void ended.push('other'));
    expect(ended).toEqual(['other']);
    first[Symbol.dispose]();
    await Promise.all([second, idle]);
    expect(ended).toEqual(['other', 'second', 'idle']);
    await mutex.idle();
  });

  it('runs the work of one key in the order of arrival, never two at a time', async () => {
    const mutex = new KeyedMutex();
    const log: string[] = [];
    let running = 0;
    const work = (name: string) =>
      mutex.run('a', async () => {
        expect(++running).toBe(1);
        log.push(name);
        await new Promise(setImmediate);
        running--;
      });
    await Promise.all([work('1'), work('2'), work('3'), work('4')]);
    expect(log).toEqual(['1', '2', '3', '4']);
  });

  it('lets other keys pass one that is held', async () => {
    const mutex = new KeyedMutex();
    using _held = await mutex.acquire('hung');
    expect(await mutex.run('other', () => 'passed')).toBe('passed');
  });

  it('gives the turn on after a failure', async () => {
    const mutex = new KeyedMutex();
    await expect(mutex.run('a', () => Promise.reject(new Error('x')))).rejects.toThrow('x');
    expect(await mutex.run('a', () => 1)).toBe(1);
  });

  it('ends a turn once, however often the lease is disposed of', async () => {
    const mutex = new KeyedMutex();
    const first = await mutex.acquire('a');
    first[Symbol.dispose]();
    const second = await mutex.acquire('a');
    first[Symbol.dispose]();
    let third = false;
    const waiting = mutex.acquire('a').then((lease) => {
      third = true;
      return lease;
    });
    await new Promise(setImmediate);
    expect(third).toBe(false);
    second[Symbol.dispose]();
    (await waiting)[Symbol.dispose]();
  });
});

describe('SingleFlight', () => {
  it('shares one execution, result and failure, and starts anew afterwards', async () => {
    const flights = new SingleFlight<number>();
    let count = 0;
    const work = async () => ++count;
    expect(await Promise.all([flights.run('a', work), flights.run('a', work), flights.run('b', work)])).toEqual([
      1, 1, 2,
    ]);
    expect(await flights.run('a', work)).toBe(3);
    const fail = () => Promise.reject(new Error('x'));
    const results = await Promise.allSettled([flights.run('c', fail), flights.run('c', work)]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await flights.run('c', work)).toBe(4);
  });
});

describe('Broadcast', () => {
  const take = async <T>(reader: AsyncIterator<T>, count: number): Promise<T[]> => {
    const taken: T[] = [];
    for (let i = 0; i < count; i++) taken.push((await reader.next()).value);
    return taken;
  };

  it('gives every reader everything from its subscription on', async () => {
    const events = new Broadcast<number>();
    events.publish(0);
    const early = events.subscribe();
    events.publish(1);
    const late = events.subscribe();
    events.publish(2);
    expect([await take(early, 2), await take(late, 1)]).toEqual([[1, 2], [2]]);
  });

  it('wakes a reader that waits', async () => {
    const events = new Broadcast<string>();
    const next = events.subscribe().next();
    events.publish('x');
    expect(await next).toEqual({ done: false, value: 'x' });
  });

  it('cuts a reader that lags, after all it had been given, and no other', async () => {
    const events = new Broadcast<number>(2);
    const slow = events.subscribe();
    events.publish(1);
    events.publish(2);
    const quick = events.subscribe();
    events.publish(3);
    expect(await take(slow, 2)).toEqual([1, 2]);
    await expect(slow.next()).rejects.toMatchObject({ kind: 'resourceExhausted' });
    expect(await take(quick, 1)).toEqual([3]);
    expect(events.subscriberCount).toBe(1);
  });

  it('ends with its signal or its reader, and forgets the subscription', async () => {
    const events = new Broadcast<number>();
    const controller = new AbortController();
    const waiting = events.subscribe(controller.signal).next();
    controller.abort();
    expect((await waiting).done).toBe(true);
    const reader = events.subscribe();
    events.publish(1);
    for await (const _event of reader) break;
    expect((await events.subscribe(AbortSignal.abort()).next()).done).toBe(true);
    expect(events.subscriberCount).toBe(0);
  });
});
