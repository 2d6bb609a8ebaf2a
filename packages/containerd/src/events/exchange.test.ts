import { eventTypes } from '@boxship/api';
import { expect, it } from 'vitest';
import { EventExchange } from './exchange.ts';

it('tells a client that comes back what became of the tasks from before, and nothing of those created since', async () => {
  const exchange = new EventExchange();
  const { TaskCreate, TaskExit } = eventTypes;
  const exit = (containerId: string) => TaskExit.fromPartial({ containerId, id: containerId, exitStatus: 3 });
  exchange.emit(
    'n',
    '/tasks/create',
    'containerd.events.TaskCreate',
    TaskCreate,
    TaskCreate.fromPartial({ containerId: 'new' }),
  );
  exchange.emit('n', '/tasks/exit', 'containerd.events.TaskExit', TaskExit, exit('new'));
  exchange.emit('n', '/tasks/exit', 'containerd.events.TaskExit', TaskExit, exit('old'));
  const stop = new AbortController();
  const events = exchange.subscribe([], stop.signal)[Symbol.asyncIterator]();
  exchange.emit('n', '/tasks/exit', 'containerd.events.TaskExit', TaskExit, exit('now'));
  const ids: string[] = [];
  for (let i = 0; i < 2; i++) {
    const { value } = await events.next();
    ids.push(TaskExit.decode(value.event.value).containerId);
  }
  stop.abort();
  expect(ids).toEqual(['old', 'now']);
});
