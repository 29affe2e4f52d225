declare module 'node-nvidia-smi' {
  /** Runs `nvidia-smi -q -x` from the PATH; `error` may be an Error or what was written to stderr. */
  function nvidiaSmi(callback: (error: unknown, data: unknown) => void): void
  export = nvidiaSmi
}
