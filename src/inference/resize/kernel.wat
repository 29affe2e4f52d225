;; The inner loops of shrinking and stretching, 16 bytes at a time. `node scripts/kernel.mjs` makes kernel.wasm of it.
(module
  (memory (import "loopfleet" "memory") 1)

  ;; One row of bytes as a weighted sum of rows: weights of 16 bits that add up to 256, rounded. `bytes` in steps of 16.
  (func (export "sumRows")
    (param $out i32) (param $rows i32) (param $stride i32) (param $taps i32) (param $weights i32) (param $bytes i32)
    (local $at i32) (local $tap i32) (local $from i32) (local $pixels v128) (local $weight v128)
    (local $low v128) (local $high v128)
    (loop $next
      (local.set $low (v128.const i16x8 128 128 128 128 128 128 128 128))
      (local.set $high (v128.const i16x8 128 128 128 128 128 128 128 128))
      (local.set $from (i32.add (local.get $rows) (local.get $at)))
      (local.set $tap (i32.const 0))
      (loop $row
        (local.set $pixels (v128.load align=1 (local.get $from)))
        (local.set $weight
          (v128.load16_splat (i32.add (local.get $weights) (i32.shl (local.get $tap) (i32.const 1)))))
        (local.set $low
          (i16x8.add (local.get $low) (i16x8.mul (i16x8.extend_low_i8x16_u (local.get $pixels)) (local.get $weight))))
        (local.set $high
          (i16x8.add (local.get $high) (i16x8.mul (i16x8.extend_high_i8x16_u (local.get $pixels)) (local.get $weight))))
        (local.set $from (i32.add (local.get $from) (local.get $stride)))
        (local.set $tap (i32.add (local.get $tap) (i32.const 1)))
        (br_if $row (i32.lt_u (local.get $tap) (local.get $taps))))
      (v128.store align=1
        (i32.add (local.get $out) (local.get $at))
        (i8x16.narrow_i16x8_u
          (i16x8.shr_u (local.get $low) (i32.const 8))
          (i16x8.shr_u (local.get $high) (i32.const 8))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $bytes)))))

  ;; `count` pixels of a row of RGB bytes as floats in three planes: each is a sum over pairs of neighbours, from the
  ;; byte that `starts` names on, with pairs of weights of 16 bits that add up to 16384.
  (func (export "sumColumns")
    (param $out i32) (param $plane i32) (param $row i32) (param $starts i32) (param $weights i32) (param $pairs i32)
    (param $count i32)
    (local $left i32) (local $from i32) (local $sum v128) (local $pixel v128)
    (loop $next
      (local.set $from (i32.add (local.get $row) (i32.load (local.get $starts))))
      (local.set $sum (v128.const i32x4 0 0 0 0))
      (local.set $left (local.get $pairs))
      (loop $pair
        (local.set $sum
          (i32x4.add
            (local.get $sum)
            (i32x4.dot_i16x8_s
              (i8x16.shuffle 0 16 3 16 1 16 4 16 2 16 5 16 16 16 16 16
                (v128.load64_zero align=1 (local.get $from))
                (v128.const i32x4 0 0 0 0))
              (v128.load32_splat (local.get $weights)))))
        (local.set $from (i32.add (local.get $from) (i32.const 6)))
        (local.set $weights (i32.add (local.get $weights) (i32.const 4)))
        (br_if $pair (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (local.set $pixel ;; 1 / (255 * 16384)
        (f32x4.mul (f32x4.convert_i32x4_s (local.get $sum)) (f32x4.splat (f32.const 2.3935355e-7))))
      (v128.store32_lane 0 (local.get $out) (local.get $pixel))
      (v128.store32_lane 1 (i32.add (local.get $out) (local.get $plane)) (local.get $pixel))
      (v128.store32_lane 2
        (i32.add (local.get $out) (i32.shl (local.get $plane) (i32.const 1)))
        (local.get $pixel))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $starts (i32.add (local.get $starts) (i32.const 4)))
      (br_if $next (local.tee $count (i32.sub (local.get $count) (i32.const 1))))))
)
