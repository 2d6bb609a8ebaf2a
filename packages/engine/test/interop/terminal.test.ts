/** docker and boxship in a real terminal (tmux): interaction, resize, detach keys. */

import { poll } from '@boxship/base';
import { describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { engineForFile } from '../harness/engine-for-file.ts';
import { dockerProgram } from '../harness/engine-under-test.ts';

const { host, engine } = await engineForFile();

describe.each([
  ['docker', () => dockerProgram],
  ['boxship', () => `${process.execPath} --no-warnings ${programPath('boxship')}`],
])('%s run -it in a terminal', (name, program) => {
  it('talks, follows the window size, and leaves with Ctrl-P Ctrl-Q', async () => {
    const socket = host.path(`tmux-${name}`);
    const tmux = (...args: string[]) => host.must('tmux', ['-S', socket, ...args]);
    const screen = async (pattern: RegExp): Promise<string> => {
      let text = '';
      const seen = await poll({ everyMs: 100, timeoutMs: 15_000 }, async () => {
        text = await tmux('capture-pane', '-p', '-t', 's');
        return pattern.test(text) ? true : undefined;
      });
      if (seen === undefined) throw new Error(`the screen never showed ${pattern}:\n${text}`);
      return text;
    };
    const command = `DOCKER_HOST=unix://${engine.socket} BOXSHIP_HOST=unix://${engine.socket} ${program()} run -it --name term-${name} busybox sh; echo left $?`;
    await tmux('new-session', '-d', '-s', 's', '-x', '100', '-y', '30', 'sh');
    try {
      await tmux('send-keys', '-t', 's', command, 'Enter');
      await screen(/^\/ #/m);
      await tmux('send-keys', '-t', 's', 'tty; stty size', 'Enter');
      await screen(/\/dev\/pts\/0/);
      await tmux('resize-window', '-t', 's', '-x', '90', '-y', '25');
      const sized = await poll({ everyMs: 200, timeoutMs: 10_000 }, async () =>
        (await engine.mustDocker(['exec', `term-${name}`, 'sh', '-c', 'stty size < /proc/1/fd/0'])) === '25 90\n'
          ? true
          : undefined,
      );
      expect(sized).toBe(true);
      await tmux('send-keys', '-t', 's', 'C-p');
      await tmux('send-keys', '-t', 's', 'C-q');
      await screen(/left 0/);
      expect(await engine.mustDocker(['inspect', '-f', '{{.State.Running}}', `term-${name}`])).toBe('true\n');
    } finally {
      await tmux('kill-server');
      await engine.mustDocker(['rm', '-f', `term-${name}`]);
    }
  }, 60_000);
});
