import { replyPartitionBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { sweep } from './sweep.ts'

export const partitions: Situation = {
  name: 'partitions',
  title: 'Partitions of the request topic from 1 to 64, 64 in flight',
  run: (stage, milliseconds) =>
    sweep(
      stage,
      {
        system: replyPartitionBytes,
        setting: 'partitions',
        values: [1, 2, 4, 8, 16, 32, 64],
        inFlight: 64,
        label: 'partitions',
      },
      milliseconds,
    ),
}
