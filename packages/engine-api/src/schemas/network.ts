/** Networks: request bodies as schemas, answers as types; names as the wire spells them. */
import { type Static, Type } from 'typebox';
import { optionalBoolean, optionalInteger, optionalString, StringList, StringMap } from './primitives.ts';

export const EndpointIpamConfigSchema = Type.Object({
  IPv4Address: optionalString,
  IPv6Address: optionalString,
  LinkLocalIPs: Type.Optional(StringList),
});

/** What a client may ask of one attachment; the same object carries the operational facts in answers. */
export const EndpointSettingsSchema = Type.Object({
  IPAMConfig: Type.Optional(EndpointIpamConfigSchema),
  Links: Type.Optional(StringList),
  Aliases: Type.Optional(StringList),
  MacAddress: optionalString,
  DriverOpts: Type.Optional(StringMap),
  GwPriority: optionalInteger,
  NetworkID: optionalString,
});
export type EndpointSettingsRequest = Static<typeof EndpointSettingsSchema>;

export interface EndpointSettings {
  IPAMConfig: Static<typeof EndpointIpamConfigSchema> | null;
  Links: string[] | null;
  Aliases: string[] | null;
  /** Since 1.44 settable per endpoint. */
  MacAddress: string;
  DriverOpts: Record<string, string> | null;
  /** Since 1.48. */
  GwPriority?: number;
  NetworkID: string;
  EndpointID: string;
  Gateway: string;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  /** Since 1.44. */
  DNSNames?: string[] | null;
}

export const IpamPoolSchema = Type.Object({
  Subnet: optionalString,
  IPRange: optionalString,
  Gateway: optionalString,
  AuxiliaryAddresses: Type.Optional(StringMap),
});
export type IpamPool = Static<typeof IpamPoolSchema>;

export const NetworkCreateSchema = Type.Object({
  Name: optionalString,
  CheckDuplicate: optionalBoolean,
  Driver: optionalString,
  Scope: optionalString,
  EnableIPv4: optionalBoolean,
  EnableIPv6: optionalBoolean,
  Internal: optionalBoolean,
  Attachable: optionalBoolean,
  Ingress: optionalBoolean,
  ConfigOnly: optionalBoolean,
  ConfigFrom: Type.Optional(Type.Object({ Network: optionalString })),
  IPAM: Type.Optional(
    Type.Object({
      Driver: optionalString,
      Options: Type.Optional(StringMap),
      Config: Type.Optional(Type.Array(IpamPoolSchema)),
    }),
  ),
  Options: Type.Optional(StringMap),
  Labels: Type.Optional(StringMap),
});
export type NetworkCreateRequest = Static<typeof NetworkCreateSchema>;

export const NetworkConnectSchema = Type.Object({
  Container: optionalString,
  EndpointConfig: Type.Optional(EndpointSettingsSchema),
});
export const NetworkDisconnectSchema = Type.Object({ Container: optionalString, Force: optionalBoolean });

export interface NetworkContainer {
  Name: string;
  EndpointID: string;
  MacAddress: string;
  IPv4Address: string;
  IPv6Address: string;
}

export interface NetworkResource {
  Name: string;
  Id: string;
  Created: string;
  Scope: string;
  Driver: string;
  EnableIPv4?: boolean;
  EnableIPv6: boolean;
  IPAM: { Driver: string; Options: Record<string, string> | null; Config: IpamPool[] | null };
  Internal: boolean;
  Attachable: boolean;
  Ingress: boolean;
  ConfigFrom: { Network: string };
  ConfigOnly: boolean;
  Containers: Record<string, NetworkContainer>;
  Options: Record<string, string>;
  Labels: Record<string, string>;
}

export interface NetworkCreateResponse {
  Id: string;
  Warning: string;
}

export interface NetworksPruneResponse {
  NetworksDeleted: string[] | null;
}
