import { replyPartitionBytes } from '../systems/milena.ts'
import type { Situation } from './situation.ts'
import { sweep } from './sweep.ts'

export const payloads: Situation = {
  name: 'payloads',
  title: 'Payloads from 100 B to 1 MiB, 16 in flight',
  run: (stage, milliseconds) =>
    sweep(
      stage,
      {
        system: replyPartitionBytes,
        setting: 'payloadBytes',
        values: [100, 1_000, 10_000, 100_000, 1_048_576],
        inFlight: 16,
        label: 'payload bytes',
      },
      milliseconds,
    ),
}
