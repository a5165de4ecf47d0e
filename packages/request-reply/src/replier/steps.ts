import type { HandlingStep } from '../diagnostics.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { readOperation } from '../wire/milena.ts'
import type { WireProfile } from '../wire/profile.ts'
import type { Job } from './partition-work.ts'

/** What diagnostics and warnings say of a record; made only when somebody is to be told. */
export class Steps {
  readonly #groupId: string
  readonly #profile: WireProfile

  constructor(groupId: string, profile: WireProfile) {
    this.#groupId = groupId
    this.#profile = profile
  }

  of(job: Job): HandlingStep {
    return this.at(job.record, job.attempt, job.handling?.operation.name)
  }

  at(
    record: IncomingRecord,
    attempt: number,
    operation: string | undefined = readOperation(record.headers),
  ): HandlingStep {
    const { topic, partition, offset, size, timestamp } = record
    const asked = this.#profile.readReplyRequest(record.headers)
    return {
      operation,
      correlationId: typeof asked === 'object' ? asked.correlationId.toString('hex') : undefined,
      groupId: this.#groupId,
      position: { topic, partition, offset },
      bytes: size,
      timestamp,
      attempt,
    }
  }
}
