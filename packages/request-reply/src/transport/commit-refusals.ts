/** Why a commit was not made, in words. */
import { TransportError } from '../errors.ts'
import { keyOf } from './partition-key.ts'
import type { OffsetToCommit, TopicPartition } from './transport.ts'

/** A commit that is none of the present holding's. */
export interface RefusedCommit extends OffsetToCommit {
  readonly why: 'not held' | 'nothing read' | 'log gone' | { readonly committed: number }
}

/** The error for a commit of something that this member does not hold. */
export function notHeld(groupId: string, partitions: readonly TopicPartition[]): TransportError {
  return fenced(`group ${groupId}: ${partitions.map(notHeldAnyMore).join('; ')}`)
}

/** The error for commits that were left over from earlier holdings. */
export function commitRefused(groupId: string, refused: readonly RefusedCommit[]): TransportError {
  return fenced(`group ${groupId}: ${refused.map(textOf).join('; ')}`)
}

function textOf(refused: RefusedCommit): string {
  const { why, offset } = refused
  const at = `${keyOf(refused)}, offset ${offset}`
  const kept = 'nothing was committed for it'
  if (why === 'not held') return notHeldAnyMore(refused)
  if (why === 'nothing read')
    return `${at}: this member has read nothing of it since it was assigned, ${kept}`
  if (why === 'log gone') return `${at} is of a log that is gone, ${kept}; reading has begun anew`
  return `${at} is less than the ${why.committed} that the group had committed when this member got it, ${kept}`
}

function notHeldAnyMore(partition: TopicPartition): string {
  const text = `${keyOf(partition)} is not held by this member any more, nothing was committed for it`
  return `${text}; whoever has it now reads from the last commit`
}

function fenced(text: string): TransportError {
  return new TransportError('MILENA_COMMIT_FENCED', text)
}
