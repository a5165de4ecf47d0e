import { MemorySagaStore } from '../src/saga/memory-store.ts'
import { ManualClock } from './manual-clock.ts'
import { describeSagaContract } from './saga-contract.ts'

describeSagaContract('in memory', {
  short: 100,
  async open() {
    const clock = new ManualClock()
    const store = new MemorySagaStore({ clock })
    const notes: string[] = []
    return {
      store,
      other: store,
      note: async (transaction, text) => transaction.onCommit(() => void notes.push(text)),
      notes: async () => notes,
      pass: (milliseconds) => clock.advance(milliseconds),
      close: async () => undefined,
    }
  },
})
