import { describe, expect, it } from 'vitest';
import { applyChanges } from './change.ts';

describe('applyChanges', () => {
  it.each([
    ['CMD ["a", "b"]', { Cmd: ['a', 'b'] }],
    ['cmd echo hi', { Cmd: ['/bin/sh', '-c', 'echo hi'] }],
    ['ENTRYPOINT [not json', { Entrypoint: ['/bin/sh', '-c', '[not json'] }],
    ['ENV A=1 B="two words" C=\'x y\' D=a\\ b', { Env: ['A=1', 'B=two words', 'C=x y', 'D=a b'] }],
    ['ENV OLD one value', { Env: ['OLD=one value'] }],
    ['LABEL k=v', { Labels: { k: 'v' } }],
    ['EXPOSE 80 53/udp', { ExposedPorts: { '80/tcp': {}, '53/udp': {} } }],
    ['VOLUME /a /b', { Volumes: { '/a': {}, '/b': {} } }],
    ['USER app', { User: 'app' }],
    ['WORKDIR /x\nWORKDIR y', { WorkingDir: '/x/y' }],
    ['ONBUILD RUN x', { OnBuild: ['RUN x'] }],
  ])('%s', (change, expected) => {
    expect(applyChanges({}, [change])).toEqual(expected);
  });

  it('replaces an environment entry', () => {
    expect(applyChanges({ Env: ['A=1', 'B=2'] }, ['ENV A=3'])).toEqual({ Env: ['B=2', 'A=3'] });
  });

  it('refuses instructions that make layers', () => {
    expect(() => applyChanges({}, ['RUN true'])).toThrow('RUN is not a valid change command');
  });
});
