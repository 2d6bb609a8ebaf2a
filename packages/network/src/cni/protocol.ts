/**
 * The words of CNI (Container Network Interface, specification 1.1.0) that both sides use: our plugin, and the driver that
 * runs the plugins of others. A plugin is a program: its command and the container are in the environment, the network
 * configuration is JSON on standard input, the result or the error is JSON on standard output.
 */

export const cniVersions = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;

/** Section "Error": codes 1 to 99 are the specification's. */
export const cniCode = {
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  badEnvironment: 4,
  io: 5,
  decoding: 6,
  badConfiguration: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  internal: 999,
} as const;

export interface CniInterface {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly sandbox?: string;
}

export interface CniAddress {
  /** `4` or `6`; before 1.0.0 only. */
  readonly version?: string;
  /** With prefix length. */
  readonly address: string;
  readonly gateway?: string;
  /** Index into `interfaces`. */
  readonly interface?: number;
}

export interface CniResult {
  readonly cniVersion: string;
  readonly interfaces?: readonly CniInterface[];
  readonly ips?: readonly CniAddress[];
  readonly routes?: readonly { readonly dst: string; readonly gw?: string }[];
  readonly dns?: {
    readonly nameservers?: readonly string[];
    readonly domain?: string;
    readonly search?: readonly string[];
    readonly options?: readonly string[];
  };
}

export interface CniErrorMessage {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
  readonly details?: string;
}
