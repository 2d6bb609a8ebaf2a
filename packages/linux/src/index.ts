export { createSubvolume, deleteSubvolume, isOnBtrfs, snapshotSubvolume } from './btrfs.ts';
export { type FreezerState, freezerState, setFrozen } from './cgroup/freezer.ts';
export {
  type CgroupPaths,
  type CgroupVersion,
  cgroupPids,
  cgroupsOf,
  cgroupVersion,
  processDirectory,
} from './cgroup/paths.ts';
export { cgroupStatsV1 } from './cgroup/stats-v1.ts';
export { cgroupStatsV2 } from './cgroup/stats-v2.ts';
export { closeAll, markInheritedCloseOnExec } from './close-range.ts';
export {
  chmodAt,
  chmodFd,
  chownAt,
  chownFd,
  linkAt,
  makeDevice,
  mkdirAt,
  mknodAt,
  openAt,
  setTimesAt,
  setTimesFd,
  splitDevice,
  symlinkAt,
  type Timestamp,
  unlinkAt,
} from './directory-fd.ts';
export { duplicateFd, isReadyNow, readNow, spliceNow, WOULD_BLOCK, writeNow } from './fd-io.ts';
export { makeFifo, type OpenFifoOptions, openFifo, setNonBlocking, setPipeSize } from './fifo.ts';
export { FileMaker } from './file-maker.ts';
export { tryLockFile } from './flock.ts';
export { bindUdp, connectTcp, connectUdp, listenTcp } from './inet-socket.ts';
export {
  addressOf,
  callAsync,
  check,
  declare,
  declareExported,
  errnoName,
  type ForeignFunction,
  lastErrno,
  systemError,
} from './libc.ts';
export { type MountSpec, mount, unmount, unmountAll } from './mount.ts';
export { isMountPoint, type MountInfo, mountsUnder, parseMountInfo, readMountInfo } from './mountinfo.ts';
export {
  createNetworkNamespace,
  isNamespaceFile,
  nameNetworkNamespace,
  openNetworkNamespace,
  removeNetworkNamespace,
  runInNetworkNamespace,
} from './namespaces.ts';
export { deleteAddress, type LinkAddress, listAddresses, newAddress } from './netlink/address.ts';
export { addressToBytes, bytesToAddress, bytesToMac, macToBytes } from './netlink/address-text.ts';
export type { NetlinkMessage } from './netlink/codec.ts';
export { deleteConnections } from './netlink/conntrack.ts';
export {
  type ChildKind,
  changeLink,
  deleteLink,
  findLink,
  ipvlanFlags,
  ipvlanModes,
  type Link,
  type LinkChange,
  type LinkStatistics,
  linkNameOf,
  listLinks,
  macvlanModes,
  newBridge,
  newChild,
  newVeth,
  randomLinkIndex,
  type VethOptions,
} from './netlink/link.ts';
export { deleteNeighbour, listNeighbours, type Neighbour, setNeighbour } from './netlink/neighbour.ts';
export { deleteRoute, listRoutes, type Route, type RouteOptions, setRoute } from './netlink/route.ts';
export { isErrno, type NetlinkFailure, NetlinkSocket, netlinkGroup, netlinkProtocol } from './netlink/socket.ts';
export {
  deleteForwarding,
  type Forwarding,
  listForwarding,
  newVxlan,
  setForwarding,
  type Vxlan,
  vxlanNamed,
} from './netlink/vxlan.ts';
export {
  type BaseChain,
  field as nftField,
  intervalElements,
  NftBatch,
  type NftFamily,
  type SetElement,
  type SetField,
  type SetOptions,
} from './nftables/batch.ts';
export * as nftExpression from './nftables/expressions.ts';
export { type NftChain, type NftRule, NftSocket } from './nftables/socket.ts';
export { type NftChanges, NftWatch } from './nftables/watch.ts';
export { oomKillCount, watchOom } from './oom.ts';
export { O_CLOEXEC, O_PATH, openInRoot, resolveFlags } from './open-in-root.ts';
export { cString, type Path, showPath } from './path-bytes.ts';
export {
  closePidfd,
  duplicateFrom,
  exitStatusOfPidfd,
  onPidfdExit,
  openPidfd,
  signalPidfd,
} from './pidfd.ts';
export { type Interest, Poller, type Readiness, sharedPoller } from './poller.ts';
export { bootId, childrenOf, isProcessAlive, type ProcessStat, processStat } from './process-stat.ts';
export { type SpawnedProcess, type SpawnOptions, spawnProcess } from './spawn.ts';
export { becomeSubreaper, setProcessName } from './subreaper.ts';
export { syncFilesystem } from './sync-filesystem.ts';
export { setWindowSize, type WindowSize, windowSize } from './terminal.ts';
export { type Credentials, type FdReceiver, listenForFd, peerCredentials } from './unix-fd.ts';
export { exitCodeOf, type Reaped, reapChild } from './wait.ts';
export { type FileWrite, openWriteQueue, QueuedWrites } from './write-queue.ts';
export { getXattr, listXattrs, removeXattr, setXattr, type XattrSubject } from './xattr.ts';
