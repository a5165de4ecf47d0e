import { describeIdempotencyContract } from './idempotency-contract.ts'
import { memoryIdempotencyStore } from '../src/idempotency/memory-store.ts'
import { ManualClock } from './manual-clock.ts'

describeIdempotencyContract('memory', {
  open: async () => {
    const clock = new ManualClock()
    const store = memoryIdempotencyStore({ clock })
    return { one: store, two: store, pass: async (time) => clock.jump(time), close: async () => undefined }
  },
})
