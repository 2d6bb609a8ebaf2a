import { describe, expect, it } from 'vitest';
import { parseTemplate } from './template.ts';

const data = {
  Name: '/web',
  Count: 3,
  Empty: '',
  Labels: { b: '2', a: '1' },
  Ports: [{ Port: 80 }, { Port: 443 }],
  State: { Running: true },
  Nothing: null,
};
const run = (source: string, missing?: 'error' | { typeName: string }) =>
  parseTemplate(source).execute(data, missing === undefined ? {} : { missing });

// expectations are what `docker inspect --format` and text/template print
describe('text/template', () => {
  it.each([
    ['{{.Name}}', '/web'],
    ['a{{- .Count -}} b', 'a3b'],
    ['{{/* gone */}}x', 'x'],
    ['{{if .State.Running}}up{{else}}down{{end}}', 'up'],
    ['{{if .Empty}}a{{else if eq .Count 3}}b{{else}}c{{end}}', 'b'],
    ['{{range .Ports}}{{.Port}},{{end}}', '80,443,'],
    ['{{range $i, $p := .Ports}}{{$i}}={{$p.Port}} {{end}}', '0=80 1=443 '],
    ['{{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}', 'a1b2'],
    ['{{range .Nothing}}x{{else}}none{{end}}', 'none'],
    ['{{with .State}}{{.Running}}{{end}}', 'true'],
    ['{{json .Labels}}', '{"b":"2","a":"1"}'],
    ['{{.Labels}} {{.Ports}}', 'map[a:1 b:2] [map[Port:80] map[Port:443]]'],
    ['{{index .Labels "a"}}{{index .Labels "none"}}', '1'],
    ['{{(index .Ports 1).Port}}', '443'],
    ['{{printf "%-5s|%03d|%q|%v" .Name .Count .Name .State.Running}}', '/web |003|"/web"|true'],
    ['{{.Name | upper | printf "%s!"}}', '/WEB!'],
    ['{{join (split "a,b" ",") "-"}}', 'a-b'],
    ['{{len .Ports}} {{not .Empty}} {{and 1 0}} {{or "" "x"}}', '2 true 0 x'],
    ['{{define "t"}}<{{.}}>{{end}}{{template "t" .Count}}', '<3>'],
    ['{{$x := 1}}{{$x = 2}}{{$x}}', '2'],
    ['{{range .Ports}}{{if eq .Port 443}}{{break}}{{end}}{{.Port}}{{end}}', '80'],
    ['{{println "a" 1}}', 'a 1\n'],
    ['{{pad "x" 1 2}}|{{truncate "abcdef" 3}}|{{title "ab cd"}}', ' x  |abc|Ab Cd'],
    ['{{.Missing}}', '<no value>'],
  ])('%s prints %s', (source, expected) => {
    expect(run(source)).toBe(expected);
  });

  it.each([
    ['{{.Name', 'template: :1: unclosed action'],
    ['{{if .Name}}', 'template: :1: unexpected EOF'],
    ['{{nosuch 1}}', 'template: :1: function "nosuch" not defined'],
    ['{{$y}}', 'template: :1: undefined variable "$y"'],
    ['{{end}}', 'template: :1: unexpected {{end}}'],
  ])('refuses %s', (source, message) => {
    expect(() => parseTemplate(source)).toThrow(message);
  });

  it('says which field is missing, in the words of a map or of a struct', () => {
    expect(() => run('{{.State.Foo}}', 'error')).toThrow(
      'template: :1:8: executing "" at <.State.Foo>: map has no entry for key "Foo"',
    );
    expect(() => run('{{.Foo}}', { typeName: '*formatter.ContainerContext' })).toThrow(
      'template: :1:2: executing "" at <.Foo>: can\'t evaluate field Foo in type *formatter.ContainerContext',
    );
  });
});
