/** Counts of one run, kept over all of its steps. */
export class Tally {
  passed = 0
  failed = 0
  skipped = 0
  /** One line for each failure, repeated at the end of a run. */
  readonly failures: string[] = []

  pass(count = 1): void {
    this.passed += count
  }

  fail(where: string): void {
    this.failed += 1
    this.failures.push(where)
  }

  skip(): void {
    this.skipped += 1
  }

  /** The line that closes a run; who reads the run reads this. */
  closingLine(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.skipped} skipped`
  }
}
