/** Published ports as `ps` shows them: ranges merged, sorted: `0.0.0.0:8080-8081->80-81/tcp, 53/udp`. */
import type { ContainerSummary } from '@boxship/engine-api';

type Port = ContainerSummary['Ports'][number];

export function formatPorts(ports: readonly Port[]): string {
  const groups = new Map<string, Port[]>();
  for (const port of ports) {
    const key = `${port.IP ?? ''}/${port.Type}`;
    groups.set(key, [...(groups.get(key) ?? []), port]);
  }
  const pieces: { first: number; text: string }[] = [];
  for (const group of groups.values()) {
    const sorted = group.toSorted((a, b) => a.PrivatePort - b.PrivatePort);
    let run: Port[] = [];
    const flush = () => {
      const [first] = run;
      if (first !== undefined) pieces.push({ first: first.PrivatePort, text: show(first, run.at(-1) ?? first) });
      run = [];
    };
    for (const port of sorted) {
      const last = run.at(-1);
      const isNext =
        last !== undefined &&
        port.PrivatePort === last.PrivatePort + 1 &&
        (port.PublicPort === undefined
          ? last.PublicPort === undefined
          : port.PublicPort === (last.PublicPort ?? -2) + 1);
      if (!isNext) flush();
      run.push(port);
    }
    flush();
  }
  return pieces
    .toSorted((a, b) => a.first - b.first)
    .map(({ text }) => text)
    .join(', ');
}

function show(first: Port, last: Port): string {
  const range = (a: number, b: number) => (a === b ? String(a) : `${a}-${b}`);
  const inside = `${range(first.PrivatePort, last.PrivatePort)}/${first.Type}`;
  if (first.PublicPort === undefined) return inside;
  const host = first.IP?.includes(':') ? `[${first.IP}]` : (first.IP ?? '');
  return `${host}:${range(first.PublicPort, last.PublicPort ?? first.PublicPort)}->${inside}`;
}
