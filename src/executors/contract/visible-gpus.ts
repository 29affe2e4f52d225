/** A GPU as CUDA_VISIBLE_DEVICES names it: by its index in PCI order, or by its UUID where CUDA may count otherwise. */
export type VisibleGpu = number | string

/** The GPUs of a started program, as its environment names them. */
export function visibleGpus(list: string | undefined): VisibleGpu[] {
  const entries = (list ?? '').split(',').filter(Boolean)
  return entries.map((entry) => (/^\d+$/.test(entry) ? Number(entry) : entry))
}
