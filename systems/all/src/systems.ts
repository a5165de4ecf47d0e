/** The five systems: the command of each, and where its output says what it has shown. */

export interface System {
  /** As in `--only`. */
  readonly name: string
  /** The command as a person would type it, for the options that it is given here. */
  readonly script: string
  /** Its file, from the root of the repository. */
  readonly entry: string
  readonly args: readonly string[]
  /** What `--short` adds. */
  readonly short: readonly string[]
  /** Finds what it has shown, as its first group; else that is the last line that it printed. */
  readonly shown?: RegExp
}

export const systems: readonly System[] = [
  {
    name: 'payments',
    script: 'npm start',
    entry: 'systems/payment-gateway/src/compare/main.ts',
    args: ['--exit', '--port', '0'],
    short: words('--rate 40 --seconds 2'),
    shown: /^\* one group for all gateways: (.+)$/m,
  },
  {
    name: 'delivery',
    script: 'npm run delivery',
    entry: 'systems/delivery-radius/src/main.ts',
    args: [],
    short: words(
      '--storm 24 --rate 40 --wave 12 --hot 60 --each 20 --shops 1500 --triggers 3 --kills 1 --requesters 2',
    ),
  },
  {
    name: 'hello',
    script: 'npm run hello',
    entry: 'systems/prepaid/src/main.ts',
    args: ['--exit'],
    short: [],
  },
  {
    name: 'coupons',
    script: 'npm run coupons',
    entry: 'systems/coupon-mail/src/main.ts',
    args: [],
    short: words('--gifts 60 --rate 20 --kills 4'),
  },
  {
    name: 'exchange',
    script: 'npm run exchange',
    entry: 'systems/exchange/src/main.ts',
    args: [],
    short: words('--exchanges 150 --rate 30 --kills 3 --down 3'),
  },
]

function words(text: string): readonly string[] {
  return text.split(' ')
}

/** The command with its options, as a person would type it. */
export function typed({ script, args }: Pick<System, 'script' | 'args'>): string {
  return args.length === 0 ? script : `${script} -- ${args.join(' ')}`
}
