import { describe, expect, it } from 'vitest';
import { decodeBody } from './decode.ts';
import { ContainerCreateSchema } from './schemas/container.ts';

describe('decodeBody', () => {
  it('matches keys in any case, drops nulls and unknown keys', () => {
    const body = decodeBody(ContainerCreateSchema, {
      image: 'busybox',
      CMD: 'true',
      Volumes: null,
      Nonsense: 1,
      HostConfig: { memory: 5, PidsLimit: null },
    });
    expect({ ...body, HostConfig: { ...body.HostConfig } }).toEqual({
      Image: 'busybox',
      Cmd: 'true',
      HostConfig: { Memory: 5 },
    });
  });

  it('keeps a label called __proto__ as a label', () => {
    const body = decodeBody(ContainerCreateSchema, JSON.parse('{"Labels":{"__proto__":"x"}}'));
    expect(Object.keys(body.Labels ?? {})).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it('refuses one field in two spellings', () => {
    expect(() => decodeBody(ContainerCreateSchema, { HostConfig: { Privileged: false, privileged: true } })).toThrow(
      'HostConfig.Privileged is given twice',
    );
  });

  it.each([
    [{ Image: 5 }, 'Image of type string'],
    [{ HostConfig: { Memory: '5' } }, 'HostConfig.Memory of type integer'],
    [{ Env: [1] }, 'Env[0] of type string'],
    [[], 'of the body of type object'],
  ])('names the field of %j', (body, text) => {
    expect(() => decodeBody(ContainerCreateSchema, body)).toThrow(text);
  });
});
