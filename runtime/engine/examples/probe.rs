use std::sync::Arc; use std::time::*;
use exomonad_engine::*;
struct H;
impl Host for H {
    fn effect(&self, e: usize, r: Vec<u8>) -> HostFuture<'_, Vec<u8>> { if e==1 { Box::pin(async move { tokio::time::sleep(Duration::from_secs(1)).await; r }) } else { Box::pin(std::future::ready(r)) } }
}
const ECHO: &str = r#"(module
 (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
 (import "extism:host/env" "input_length" (func $il (result i64)))
 (import "extism:host/env" "input_load_u64" (func $l8 (param i64) (result i64)))
 (import "extism:host/env" "input_load_u8" (func $l1 (param i64) (result i32)))
 (import "extism:host/env" "store_u64" (func $s8 (param i64 i64)))
 (import "extism:host/env" "store_u8" (func $s1 (param i64 i32)))
 (import "extism:host/env" "output_set" (func $os (param i64 i64)))
 (import "extism:host/user" "id" (func $id (param i64) (result i64)))
 (import "extism:host/user" "wait" (func $wait (param i64) (result i64)))
 (memory (export "memory") 17)
 (func (export "echo") (result i32) (local $n i64) (local $i i64) (local $o i64)
   (local.set $n (call $il)) (local.set $o (call $alloc (local.get $n)))
   (block $d (loop $x (br_if $d (i64.gt_u (i64.add (local.get $i) (i64.const 8)) (local.get $n)))
      (call $s8 (i64.add (local.get $o) (local.get $i)) (call $l8 (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 8))) (br $x)))
   (block $d (loop $x (br_if $d (i64.ge_u (local.get $i) (local.get $n)))
      (call $s1 (i64.add (local.get $o) (local.get $i)) (call $l1 (local.get $i)))
      (local.set $i (i64.add (local.get $i) (i64.const 1))) (br $x)))
   (call $os (local.get $o) (local.get $n)) (i32.const 0))
 (func (export "effect") (result i32) (drop (call $id (call $alloc (i64.const 8)))) (i32.const 0))
 (func (export "wait") (result i32) (drop (call $wait (call $alloc (i64.const 8)))) (i32.const 0))
)"#;
fn rss() -> (u64,u64) { let s = std::fs::read_to_string("/proc/self/status").unwrap(); let g=|k:&str| s.lines().find(|l| l.starts_with(k)).unwrap().split_whitespace().nth(1).unwrap().parse().unwrap(); (g("VmRSS:"), g("Threads:")) }
fn vmas() -> usize { std::fs::read_to_string("/proc/self/maps").unwrap().lines().count() }
fn main() {
    let rt = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let kr: u64 = std::env::var("KR").ok().and_then(|s| s.parse().ok()).unwrap_or(64<<10);
    let engine = Engine::new(EngineConfig { keep_resident: kr, ..Default::default() }).unwrap();
    println!("engine vmas {} rss {:?}", vmas(), rss());
    let src = std::env::args().nth(1).map(|p| std::fs::read(p).unwrap()).unwrap_or(ECHO.into());
    let h: Arc<dyn Host> = Arc::new(H);
    rt.block_on(async {
        let t=Instant::now();
        let p = engine.load(&Manifest::of_module(src), &LoadOptions { effects: &["id","wait"], ..Default::default() }).await.unwrap();
        println!("load {:?} {:?}", t.elapsed(), p.snapshot());
        let l = Limits { input: 64<<20, output: 64<<20, memory: 128<<20, ..Limits::default() };
        tokio::spawn({ let p=p.clone(); let h=h.clone(); async move {
        for size in [200usize, 65536, 4<<20] {
            let input = vec![7u8; size]; let n = if size > 1<<20 { 100 } else if size>1000 { 2000 } else { 50000 };
            let t=Instant::now(); for _ in 0..n { p.call(h.clone(), l, "echo", &input).await.unwrap(); } 
            let fresh = t.elapsed()/n;
            let mut s = p.sandbox(h.clone(), l).await.unwrap();
            let t=Instant::now(); for _ in 0..n { s.call(h.clone(), l, "echo", &input).await.unwrap(); }
            println!("{size}: fresh {:?} warm {:?}", fresh, t.elapsed()/n);
        }
        let n=50000; let t=Instant::now(); for _ in 0..n { p.call(h.clone(), l, "effect", b"").await.unwrap(); } 
        let fresh = t.elapsed()/n;
        let mut s = p.sandbox(h.clone(), l).await.unwrap();
        let t=Instant::now(); for _ in 0..n { s.call(h.clone(), l, "effect", b"").await.unwrap(); }
        println!("effect: fresh {:?} warm {:?}", fresh, t.elapsed()/n);
        }}).await.unwrap();
        let t=Instant::now();
        let js: Vec<_> = (0..10000).map(|_| { let p=p.clone(); let h=h.clone(); tokio::spawn(async move { p.call(h, Limits::default(), "wait", b"x").await }) }).collect();
        tokio::time::sleep(Duration::from_millis(800)).await; println!("mid vmas {} {:?}", vmas(), rss());
        let mut bad=0; let mut first=None; for j in js { if let Err(e)=j.await.unwrap() { bad+=1; first=Some(e);} }
        println!("10k: {:?} bad {bad} {:?} rss {:?} vmas {}", t.elapsed(), first, rss(), vmas());
    });
}
