import type { GpuFigures } from './figures.js'

/** One readable card of the host. */
export type GpuCard = {
  /** Rank in PCI order; as in CUDA_VISIBLE_DEVICES with CUDA_DEVICE_ORDER=PCI_BUS_ID. */
  readonly index: number
  /** `GPU-…`; null where the driver names none (Tegra). */
  readonly uuid: string | null
  /** `0000:01:00.0`, in lower case. */
  readonly busId: string | null
  /** Its MIG mode is on: a program sees a part of it. */
  readonly isPartitioned: boolean
  readonly figures: GpuFigures
}

/** A card that the driver knows and that cannot be used. */
export type LostCard = {
  /** Rank in PCI order; null when nobody says where it is. */
  readonly index: number | null
  readonly uuid: string | null
  readonly busId: string | null
  readonly reason: string
}

/** What a host knows of its NVIDIA GPUs. A failed reading is `unreadable`, never `none`. */
export type GpuInventory =
  | { readonly state: 'none'; readonly reason: string }
  | { readonly state: 'unreadable'; readonly reason: string }
  | {
      readonly state: 'gpus'
      readonly cards: readonly GpuCard[]
      readonly lost: readonly LostCard[]
      /** Nothing but figures: no warning, no lost card, so that node-nvidia-smi can read the tool's answers, too. */
      readonly isPlain: boolean
    }

/** The same card in every reading, whatever its index has become. */
export function keyOf(card: GpuCard): string {
  return card.uuid ?? card.busId ?? `index ${card.index}`
}

/** How people name a lost card. */
export function nameOfLost({ index, uuid, busId }: LostCard): string {
  if (index !== null) return `GPU ${index}`
  return busId === null && uuid === null ? 'a GPU' : `the GPU ${busId ?? uuid}`
}
