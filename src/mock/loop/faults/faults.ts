import { RefusedError } from '../refused-error.js'
import { type FaultRule, faultRuleSchema } from './fault-rule.js'

export type ActiveFault = FaultRule & { readonly id: number; readonly seen: number; readonly done: number }

/** The faults this Loop injects on purpose. */
export type Faults = {
  list(): readonly ActiveFault[]
  add(rule: unknown): ActiveFault
  /** Removes one fault, or all. */
  clear(id?: number): void
  /** The first rule that fits a request, counted as used; undefined when it passes unharmed. */
  forRequest(method: string, url: string): FaultRule | undefined
  forEvent(event: string): FaultRule | undefined
}

export function createFaults(initial: readonly FaultRule[]): Faults {
  let faults: { rule: FaultRule; id: number; seen: number; done: number }[] = []
  let nextId = 1
  const add = (given: unknown) => {
    const checked = faultRuleSchema.safeParse(given)
    if (!checked.success) throw new RefusedError(422, `The fault is not valid: ${firstProblem(checked.error.issues)}.`)
    const rule = checked.data
    checkPattern(rule.match.path)
    const fault = { rule, id: nextId++, seen: 0, done: 0 }
    faults.push(fault)
    return { ...rule, id: fault.id, seen: 0, done: 0 }
  }
  const take = (fits: (rule: FaultRule) => boolean) => {
    let taken: FaultRule | undefined
    for (const fault of faults) {
      if (!fits(fault.rule)) continue
      fault.seen += 1
      const isDue = fault.seen > (fault.rule.after ?? 0) && fault.done < (fault.rule.times ?? Number.POSITIVE_INFINITY)
      if (taken !== undefined || !isDue) continue
      fault.done += 1
      taken = fault.rule
    }
    return taken
  }
  for (const rule of initial) add(rule)
  return {
    list: () => faults.map(({ rule, ...counts }) => ({ ...rule, ...counts })),
    add,
    clear: (id) => {
      faults = id === undefined ? [] : faults.filter((fault) => fault.id !== id)
    },
    forRequest: (method, url) => take(({ match }) => match.event === undefined && fitsRequest(match, method, url)),
    forEvent: (event) => take(({ match }) => match.event === event),
  }
}

function fitsRequest(match: FaultRule['match'], method: string, url: string): boolean {
  if (match.method !== undefined && match.method.toUpperCase() !== method.toUpperCase()) return false
  const { path } = match
  if (path === undefined) return true
  const candidates = [url, url.replace(/^\/api/, '')]
  if (!path.startsWith('^')) return candidates.some((candidate) => candidate.startsWith(path))
  const pattern = new RegExp(path)
  return candidates.some((candidate) => pattern.test(candidate))
}

function checkPattern(path: string | undefined): void {
  if (path === undefined || !path.startsWith('^')) return
  try {
    new RegExp(path)
  } catch {
    throw new RefusedError(422, `The fault's path ${JSON.stringify(path)} is no regular expression.`)
  }
}

function firstProblem(issues: readonly { path: PropertyKey[]; message: string }[]): string {
  const [first] = issues
  return first === undefined ? 'unknown' : `${first.path.map(String).join('.') || 'it'}: ${first.message}`
}
