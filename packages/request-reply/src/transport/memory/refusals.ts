/** The errors of the in-memory broker, worded as the Kafka adapter words its own. */
import { TransportError } from '../../errors.ts'

export function topicMissing(topic: string): TransportError {
  return new TransportError(
    'MILENA_TOPIC_MISSING',
    `topic ${topic} does not exist: create it first (with createTopics, or the option createTopics: true)`,
  )
}

export function partitionMissing(topic: string, partition: number, partitions: number): TransportError {
  return new TransportError(
    'MILENA_PARTITION_MISSING',
    `topic ${topic} has no partition ${partition}: it has ${partitions}, numbered from 0`,
  )
}

export function transportClosed(what: string): TransportError {
  return new TransportError('MILENA_CLOSED', `${what}: the transport is closed`)
}

/** A refusal by Kafka's own error name. */
export function brokerError(kafkaName: string, message: string): TransportError {
  return new TransportError('MILENA_BROKER_ERROR', `${kafkaName}: ${message}`)
}

/** Characters of metadata that a broker keeps beside an offset (`offset.metadata.max.bytes`, which counts UTF-16 units). */
const longestMetadata = 4_096

export function isTooLong({ metadata = '' }: { readonly metadata?: string | undefined }): boolean {
  return metadata.length > longestMetadata
}

export function metadataTooLong(): TransportError {
  return brokerError(
    'OFFSET_METADATA_TOO_LARGE',
    `an offset's metadata has at most ${longestMetadata} characters`,
  )
}

/** Another process has this static member's name. */
export function nameTaken(groupId: string, instanceId: string | undefined): TransportError {
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: another process has joined as ${instanceId} (FENCED_INSTANCE_ID), this one has stopped`,
  )
}

/** The group has gone on without this member. */
export function placeLost(groupId: string): TransportError {
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: no heartbeat of this member came within the session timeout. ` +
      'The group has gone on without it (UNKNOWN_MEMBER_ID); it joins again',
  )
}

/** The session is over by the member's own clock. */
export function sessionOver(groupId: string, sessionTimeout: number): TransportError {
  return new TransportError(
    'MILENA_COMMIT_FENCED',
    `group ${groupId}: no coordinator has answered this member within the session timeout of ${sessionTimeout} ms. ` +
      'Others may have its partitions by now, so it has let go of them; it joins again',
  )
}

/** Closed before it had its first assignment. */
export function joinClosed(groupId: string): TransportError {
  return new TransportError('MILENA_CLOSED', `join group ${groupId}: closed`)
}

/** The connection of a commit was lost before its answer. */
export function commitUnanswered(groupId: string): TransportError {
  return new TransportError(
    'MILENA_BROKER_UNREACHABLE',
    `group ${groupId}: the connection was lost, the commit may have been applied`,
    { sent: 'unknown' },
  )
}
