/** The current figures of one GPU; null where the driver does not report one. */
export type GpuFigures = {
  /** As in CUDA_VISIBLE_DEVICES with CUDA_DEVICE_ORDER=PCI_BUS_ID. */
  readonly index: number
  readonly name: string | null
  readonly utilizationPercent: number | null
  readonly memoryUsedBytes: number | null
  readonly memoryTotalBytes: number | null
  readonly temperatureCelsius: number | null
  readonly powerWatts: number | null
}

/** The figures of one `<gpu>` element. */
export function toFigures(gpu: unknown, index: number): GpuFigures {
  return {
    index,
    name: textAt(gpu, 'product_name'),
    utilizationPercent: quantity(at(gpu, 'utilization', 'gpu_util')),
    memoryUsedBytes: quantity(at(gpu, 'fb_memory_usage', 'used')),
    memoryTotalBytes: quantity(at(gpu, 'fb_memory_usage', 'total')),
    temperatureCelsius: quantity(at(gpu, 'temperature', 'gpu_temp')),
    powerWatts: power(gpu),
  }
}

/** The key moved and was split with the drivers: power_readings until 525, gpu_power_readings since. */
function power(gpu: unknown): number | null {
  for (const group of ['gpu_power_readings', 'power_readings']) {
    for (const key of ['instant_power_draw', 'power_draw', 'average_power_draw']) {
      const watts = quantity(at(gpu, group, key))
      if (watts !== null) return watts
    }
  }
  return null
}

const FACTORS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** `97 %`, `24564 MiB`, `61 C`, `250.12 W`; `N/A` and the like are null. */
function quantity(value: unknown): number | null {
  const match = typeof value === 'string' ? /^(\d+(?:\.\d+)?) ?([A-Za-z%]*)$/.exec(value) : null
  return match === null ? null : Number(match[1]) * (FACTORS[match[2] ?? ''] ?? 1)
}

/** A text of the answer; null for what is missing or empty, and for `N/A`. */
export function textAt(value: unknown, ...path: readonly string[]): string | null {
  const text = at(value, ...path)
  return typeof text !== 'string' || /^$|^\[?(n\/a|not supported)\]?$/i.test(text) ? null : text
}

export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => {
    return typeof inner === 'object' && inner !== null && Object.hasOwn(inner, key)
      ? Reflect.get(inner, key)
      : undefined
  }, value)
}
