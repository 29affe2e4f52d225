/** Keys under which the Loop sees what fails no training. They go when the training is over, which was no failure. */
const warningKeys = ['hyperparameters'] as const
export type WarningKey = (typeof warningKeys)[number]

/** The errors without the warnings among them. */
export function withoutWarnings(errors: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(errors).filter(([key]) => !isWarning(key)))
}

export function isWarning(key: string): boolean {
  return warningKeys.some((warning) => warning === key)
}
