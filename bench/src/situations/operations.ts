import { replyPartitionBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { sweep } from './sweep.ts'

export const operations: Situation = {
  name: 'operations',
  title: 'Operations on one replier from 1 to 1 000, 64 in flight',
  run: (stage, milliseconds) =>
    sweep(
      stage,
      {
        system: replyPartitionBytes,
        setting: 'operations',
        values: [1, 10, 100, 1_000],
        inFlight: 64,
        label: 'operations',
      },
      milliseconds,
    ),
}
