import * as client from '@platformatic/kafka'

/* Every version of every group API, in the encoding of a client that somebody else wrote. */
export const joins = [
  client.joinGroupV0,
  client.joinGroupV1,
  client.joinGroupV2,
  client.joinGroupV3,
  client.joinGroupV4,
  client.joinGroupV5,
  client.joinGroupV6,
  client.joinGroupV7,
  client.joinGroupV8,
  client.joinGroupV9,
]
export const syncs = [
  client.syncGroupV0,
  client.syncGroupV1,
  client.syncGroupV2,
  client.syncGroupV3,
  client.syncGroupV4,
  client.syncGroupV5,
]
export const heartbeats = [
  client.heartbeatV0,
  client.heartbeatV1,
  client.heartbeatV2,
  client.heartbeatV3,
  client.heartbeatV4,
]
export const leaves = [
  client.leaveGroupV0,
  client.leaveGroupV1,
  client.leaveGroupV2,
  client.leaveGroupV3,
  client.leaveGroupV4,
  client.leaveGroupV5,
]
export const commits = [
  client.offsetCommitV2,
  client.offsetCommitV3,
  client.offsetCommitV4,
  client.offsetCommitV5,
  client.offsetCommitV6,
  client.offsetCommitV7,
  client.offsetCommitV8,
]
export const fetches = [
  client.offsetFetchV1,
  client.offsetFetchV2,
  client.offsetFetchV3,
  client.offsetFetchV4,
  client.offsetFetchV5,
  client.offsetFetchV6,
  client.offsetFetchV7,
  client.offsetFetchV8,
]
export const finds = [
  client.findCoordinatorV0,
  client.findCoordinatorV1,
  client.findCoordinatorV2,
  client.findCoordinatorV3,
  client.findCoordinatorV4,
]
export const descriptions = [
  client.describeGroupsV0,
  client.describeGroupsV1,
  client.describeGroupsV2,
  client.describeGroupsV3,
  client.describeGroupsV4,
  client.describeGroupsV5,
]
export const lists = [
  client.listGroupsV0,
  client.listGroupsV1,
  client.listGroupsV2,
  client.listGroupsV3,
  client.listGroupsV4,
  client.listGroupsV5,
]
export const deletions = [client.deleteGroupsV0, client.deleteGroupsV1, client.deleteGroupsV2]
