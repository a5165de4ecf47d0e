import { waitingFor, type ClaimedSaga, type SagaStatus } from '@milena/request-reply'

/** The columns of a status, in the order of `valuesOf`. */
export interface StatusRow {
  readonly status: string
}

export interface ClaimedRow extends StatusRow {
  readonly id: string
  readonly token: string
  readonly version: string
  readonly due_in: string | null
}

/** What a claim gives back; `due_at` is that of before. */
export const claimedColumns: string =
  'saga.id, saga.token, saga.version, saga.status::text AS status, ' +
  // Of none `greatest` would make 0.
  'CASE WHEN saga.due_at IS NOT NULL THEN ' +
  'greatest(0, extract(epoch FROM saga.due_at - clock_timestamp()) * 1000)::float8::text END AS due_in'

export function statusOf({ status }: StatusRow): SagaStatus {
  return JSON.parse(status) as SagaStatus
}

export function claimedOf(row: ClaimedRow): ClaimedSaga {
  return {
    id: row.id,
    token: Number(row.token),
    version: Number(row.version),
    status: statusOf(row),
    dueIn: row.due_in === null ? undefined : Number(row.due_in),
  }
}

/** `state`, `status`, `waiting_for`, `stuck`. */
export function valuesOf(status: SagaStatus): unknown[] {
  return [
    status.state,
    JSON.stringify(status),
    waitingFor(status) ?? null,
    status.stuckSince !== undefined && status.endedAt === undefined,
  ]
}
