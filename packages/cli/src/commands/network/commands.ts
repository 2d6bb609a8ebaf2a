/** `network` verbs. */
import { defineCommand } from '../../command.ts';
import { formatList, type ListFormat } from '../../format/formatter.ts';
import { toMap } from '../../options/env.ts';
import { parseFilterFlags } from '../../options/filters.ts';
import { flag } from '../../pflag/flags.ts';
import { eachOperand } from '../each-operand.ts';

const format: ListFormat = {
  table: '{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}',
  typeName: '*formatter.networkContext',
  quiet: 'ID',
  titles: {
    ID: 'NETWORK ID',
    Name: 'NAME',
    Driver: 'DRIVER',
    Scope: 'SCOPE',
    IPv6: 'IPV6',
    IPv4: 'IPV4',
    Internal: 'INTERNAL',
    Labels: 'LABELS',
    CreatedAt: 'CREATED AT',
  },
};

export const list = defineCommand({
  usage: 'network ls [OPTIONS]',
  short: 'List networks',
  aliases: ['network ls', 'network list'],
  flags: {
    filter: flag.list({ short: 'f', help: 'Provide filter values (e.g. "driver=bridge")' }),
    format: flag.string({ help: 'Format output using a custom template' }),
    'no-trunc': flag.bool({ help: 'Do not truncate the output' }),
    quiet: flag.bool({ short: 'q', help: 'Only display network IDs' }),
  },
  operands: { min: 0, max: 0 },
  async run(context, values) {
    const networks = (await context.client.networks.list(parseFilterFlags(values.filter))).toSorted((a, b) =>
      a.Name < b.Name ? -1 : 1,
    );
    const rows = networks.map((network) => ({
      ID: values['no-trunc'] ? network.Id : network.Id.slice(0, 12),
      Name: network.Name,
      Driver: network.Driver,
      Scope: network.Scope,
      IPv4: String(network.EnableIPv4 ?? true),
      IPv6: String(network.EnableIPv6),
      Internal: String(network.Internal),
      Labels: Object.entries(network.Labels ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .join(','),
      CreatedAt: network.Created,
    }));
    context.stdout.write(formatList(format, { format: values.format, isQuiet: values.quiet }, rows));
    return 0;
  },
});

export const create = defineCommand({
  usage: 'network create [OPTIONS] NETWORK',
  short: 'Create a network',
  flags: {
    attachable: flag.bool({ help: 'Enable manual container attachment' }),
    'aux-address': flag.list({ help: 'Auxiliary IPv4 or IPv6 addresses used by Network driver' }),
    driver: flag.string({ short: 'd', initial: 'bridge', help: 'Driver to manage the Network' }),
    gateway: flag.strings({ help: 'IPv4 or IPv6 Gateway for the master subnet' }),
    internal: flag.bool({ help: 'Restrict external access to the network' }),
    'ip-range': flag.strings({ help: 'Allocate container ip from a sub-range' }),
    'ipam-driver': flag.string({ initial: 'default', help: 'IP Address Management Driver' }),
    'ipam-opt': flag.list({ help: 'Set IPAM driver specific options' }),
    ipv6: flag.bool({ help: 'Enable or disable IPv6 address assignment' }),
    label: flag.list({ help: 'Set metadata on a network' }),
    opt: flag.list({ short: 'o', help: 'Set driver specific options' }),
    subnet: flag.strings({ help: 'Subnet in CIDR format that represents a network segment' }),
  },
  operands: { min: 1, max: 1 },
  async run(context, values, [name = '']) {
    const pools = values.subnet.map((Subnet, index) => ({
      Subnet,
      ...(values['ip-range'][index] === undefined ? {} : { IPRange: values['ip-range'][index] }),
      ...(values.gateway[index] === undefined ? {} : { Gateway: values.gateway[index] }),
      ...(index === 0 && values['aux-address'].length > 0 ? { AuxiliaryAddresses: toMap(values['aux-address']) } : {}),
    }));
    const { Id, Warning } = await context.client.networks.create({
      Name: name,
      Driver: values.driver,
      Internal: values.internal,
      Attachable: values.attachable,
      EnableIPv6: values.ipv6,
      IPAM: { Driver: values['ipam-driver'], Config: pools, Options: toMap(values['ipam-opt']) },
      Options: toMap(values.opt),
      Labels: toMap(values.label),
    });
    if (Warning) context.warn(`WARNING: ${Warning}`);
    context.print(Id);
    return 0;
  },
});

export const remove = defineCommand({
  usage: 'network rm NETWORK [NETWORK...]',
  short: 'Remove one or more networks',
  aliases: ['network rm', 'network remove'],
  flags: { force: flag.bool({ short: 'f', help: 'Do not error if the network does not exist' }) },
  operands: { min: 1, max: Number.POSITIVE_INFINITY },
  async run(context, values, operands) {
    const code = await eachOperand(context, operands, async (name) => {
      await context.client.networks.remove(name);
      return name;
    });
    return values.force ? 0 : code;
  },
});

export const connect = defineCommand({
  usage: 'network connect [OPTIONS] NETWORK CONTAINER',
  short: 'Connect a container to a network',
  flags: {
    alias: flag.strings({ help: 'Add network-scoped alias for the container' }),
    'driver-opt': flag.strings({ help: 'driver options for the network' }),
    'gw-priority': flag.int({
      help: 'Highest gw-priority provides the default gateway. Accepts positive and negative values.',
    }),
    ip: flag.string({ help: 'IPv4 address (e.g., "172.30.100.104")' }),
    ip6: flag.string({ help: 'IPv6 address (e.g., "2001:db8::33")' }),
    link: flag.list({ help: 'Add link to another container' }),
    'link-local-ip': flag.strings({ help: 'Add a link-local address for the container' }),
  },
  operands: { min: 2, max: 2 },
  async run(context, values, [network = '', container = '']) {
    await context.client.networks.connect(network, {
      Container: container,
      EndpointConfig: {
        IPAMConfig: {
          IPv4Address: values.ip,
          IPv6Address: values.ip6,
          ...(values['link-local-ip'].length === 0 ? {} : { LinkLocalIPs: [...values['link-local-ip']] }),
        },
        Links: [...values.link],
        Aliases: [...values.alias],
        DriverOpts: toMap(values['driver-opt']),
        ...(values['gw-priority'] === 0 ? {} : { GwPriority: values['gw-priority'] }),
      },
    });
    return 0;
  },
});

export const disconnect = defineCommand({
  usage: 'network disconnect [OPTIONS] NETWORK CONTAINER',
  short: 'Disconnect a container from a network',
  flags: { force: flag.bool({ short: 'f', help: 'Force the container to disconnect from a network' }) },
  operands: { min: 2, max: 2 },
  async run(context, values, [network = '', container = '']) {
    await context.client.networks.disconnect(network, { Container: container, Force: values.force });
    return 0;
  },
});
