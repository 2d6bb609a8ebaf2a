/**
 * The owner of an in-process engine, as a program of its own so that it can be killed: `owner DIRECTORY remove|keep`. Prints
 * a JSON line with the containers that are there, starts one that goes on if there is none, prints its id, and waits for the
 * end of its standard input.
 */
import { text } from 'node:stream/consumers';
import { createEngine } from '../../src/in-process/create-engine.ts';

const frameHeaderBytes = 8;
const [directory = '', atEnd = ''] = process.argv.slice(2);
await using engine = await createEngine({ directory, atEnd: atEnd === 'keep' ? 'keep' : 'remove' });
const { containers } = engine.client;
const found = await containers.list();
let id = found[0]?.Id;
if (id === undefined) {
  const Cmd = ['sh', '-c', 'echo up; sleep 1000'];
  id = (await containers.create({ Image: 'boxship/hello', Cmd, HostConfig: { PortBindings: { '80/tcp': [{}] } } })).Id;
  await containers.start(id);
}
// a stream taken over works without a socket, too, half close included
const exec = await engine.client.exec.create(id, { Cmd: ['cat'], AttachStdin: true, AttachStdout: true });
const { socket } = await engine.client.exec.start(exec.Id);
socket.end('through cat');
const echo = (await text(socket)).slice(frameHeaderBytes);
const { State } = await containers.inspect(id);
process.stdout.write(`${JSON.stringify({ found: found.length, id, pid: State.Pid, echo })}\n`);
await text(process.stdin);
