import { brokerFailure } from './broker-failure.ts'
import { coldStart } from './cold-start.ts'
import { fixedRate } from './fixed-rate.ts'
import { operations } from './operations.ts'
import { overload } from './overload.ts'
import { partitions } from './partitions.ts'
import { payloads } from './payloads.ts'
import { payments } from './payments.ts'
import { profile } from './profile.ts'
import { requesters } from './requesters.ts'
import { scaling } from './scaling.ts'
import type { Situation } from './situation.ts'

export const situations: readonly Situation[] = [
  fixedRate,
  requesters,
  scaling,
  brokerFailure,
  overload,
  payloads,
  partitions,
  operations,
  payments,
  coldStart,
  profile,
]
