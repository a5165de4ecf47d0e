import type { JoinResult, SyncResult } from './types.ts'

export const noBytes: Buffer = Buffer.alloc(0)

/** A refused join. `memberId` is the id that the client is to go on with, if any. */
export function joinError(error: number, memberId: string): JoinResult {
  const nothing = { generation: -1, protocolType: null, protocol: null, leader: '', skipAssignment: false }
  return { error, ...nothing, memberId, members: [] }
}

export function syncError(error: number): SyncResult {
  return { error, protocolType: null, protocol: null, assignment: noBytes }
}
