//! What the kernel refuses to the tools that plugins call: the plugin is one of one's own, the tool and the fault are real.

use serde_json::json;

use crate::faults::{cause_as, is_cause, nothing, scripted};
use crate::network::VERSIONS;
use crate::world::World;

/// Adds a sandbox by a plugin that runs this command, on a node on which something was done before. It returns what the command
/// prints as its error, in which these words are to stand.
#[track_caller]
fn has_cause_of(command: &str, spoil: impl FnOnce(&World), words: &str, cause: &str) {
    let script = format!(
        r#"cat >/dev/null
printed=$({command} 2>&1) ||
    {{ printf '{{"code": 999, "msg": "%s"}}' "$(printf %s "$printed" | tr '\n\t"\\' ';   ')"; exit 1; }}"#
    );
    let spoil = |world: &World| {
        spoil(world);
        scripted(world, &script);
    };
    let told = cause_as(json!([{"type": "scripted"}]), VERSIONS[3], spoil, |call| call);
    assert!(told.contains(words), "the fault is another one: {told}");
    is_cause(&told, cause);
}

/// Puts a BPF program of these instructions at `/run/program.o`, and a link to attach it to.
fn program(world: &World, instructions: &str) {
    world.sh(&format!(
        r#"ip link add up0 type veth peer name up1; tc qdisc add dev up0 clsact
printf '%s\n' '.section classifier,"ax",@progbits' '.globl pass' '.type pass,@function' 'pass: .byte {instructions}' \
    '.size pass, .-pass' '.section license,"aw",@progbits' '.asciz "GPL"' >/run/program.s
gcc -c -o /run/program.o /run/program.s
# The assembler writes the number of this machine's kind where that of BPF has to stand.
printf '\367\0' | dd of=/run/program.o bs=1 seek=18 conv=notrunc status=none"#
    ));
}

/// `r0 = 0; exit`.
const RETURNS: &str = "0xb7,0,0,0,0,0,0,0,0x95,0,0,0,0,0,0,0";
/// `exit`, with nothing to return.
const RETURNS_NOTHING: &str = "0x95,0,0,0,0,0,0,0";
const ATTACH: &str = "tc filter add dev up0 ingress bpf direct-action obj /run/program.o sec classifier";
const MOUNT: &str = "mount -t bpf bpf /sys/fs/bpf";

#[test]
fn a_bpf_program_where_the_bpf_filesystem_is_not_mounted() {
    let spoil = |world: &World| program(world, RETURNS);
    has_cause_of(ATTACH, spoil, "mkdir /sys/fs/bpf/tc/ failed: No such file or directory", "bpf-failed");
}

#[test]
fn a_bpf_program_that_the_verifier_rejects() {
    let spoil = |world: &World| {
        program(world, RETURNS_NOTHING);
        world.sh(MOUNT);
    };
    has_cause_of(ATTACH, spoil, "R0 !read_ok", "bpf-failed");
}

#[test]
fn a_bpf_program_without_the_right_to_load_it() {
    let spoil = |world: &World| {
        program(world, RETURNS);
        // With the right, it can be loaded.
        world.sh(&format!("{MOUNT}; {ATTACH}; tc filter delete dev up0 ingress"));
    };
    let without_right = format!("setpriv --bounding-set -bpf,-sys_admin --inh-caps -bpf,-sys_admin {ATTACH}");
    has_cause_of(
        &without_right,
        spoil,
        "Operation not permitted(1). Couldn't load trivial BPF program",
        "bpf-failed",
    );
}

#[test]
fn a_host_port_that_somebody_has() {
    let spoil = |world: &World| {
        world.serve("busybox", &["nc", "-l", "-p", "8080"]);
        world.sh("until ss -Hltn sport = :8080 | grep -q 8080; do sleep 0.1; done");
    };
    has_cause_of("busybox httpd -p 8080", spoil, "bind: Address already in use", "port-conflict");
}

#[test]
fn a_conntrack_tool_that_is_missing() {
    let delete = "conntrack -D --proto udp --orig-port-dst 53";
    has_cause_of(delete, nothing, "conntrack: not found", "conntrack-failed");
}
