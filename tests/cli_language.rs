//! Titles, explanations and fixes in other languages.

use serde_json::{Value, json};

use crate::support::Place;

const EVENT: &str = "plugin type=\"portmap\" name=\"pods\" failed (add): must be called as chained plugin";

#[test]
fn an_explanation_is_told_in_russian() {
    let ran = Place::new().cli(&["explain", "--lang", "ru", EVENT]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    причина: chain-order-wrong, уверенность высокая
    ADD плагина portmap завершился ошибкой: плагин цепочки запущен не на своём месте

      Такие плагины, как portmap, bandwidth и tuning, работают с результатом предыдущего плагина, а его нет. Плагин стоит в списке первым или один в файле .conf, либо предыдущий не создал интерфейса.

      признаки   в тексте ошибки есть “must be called as chained plugin”
      решение 1  поставьте плагин после того, который создаёт интерфейс
      решение 2  превратите отдельный .conf в .conflist, в котором есть оба плагина
      решение 3  с потерями: если сохранённый результат пода потерян, удалите под: будет создана новая песочница
      проверить  cniscope doctor config
                 grep -n '"type"' /etc/cni/net.d/*

    прочитано как
      команда    ADD
      плагин     portmap
      сеть       pods
      ошибка     must be called as chained plugin

    дальше
      на узле: cniscope doctor config или explain там же с ключом --here
      подробнее: cniscope causes chain-order-wrong
    "#);
}

#[test]
fn an_explanation_is_told_in_chinese() {
    let ran = Place::new().cli(&["explain", "--lang", "zh", EVENT]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (0, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    原因：chain-order-wrong，可信度高
    portmap 的 ADD 失败：链式插件处在不能运行的位置

      portmap、bandwidth、tuning 这类插件要处理前一个插件的结果，但没有得到。该插件排在列表首位，或者单独写在 .conf 文件中，或者前一个插件没有创建接口。

      证据       错误文本中有“must be called as chained plugin”
      措施 1     把该插件放到创建接口的插件之后
      措施 2     把单独的 .conf 改成包含这两个插件的 .conflist
      措施 3     有破坏性：如果该 Pod 缓存的结果已丢失，删除该 Pod：会创建新的沙箱
      验证       cniscope doctor config
                 grep -n '"type"' /etc/cni/net.d/*

    解读为
      命令       ADD
      插件       portmap
      网络       pods
      错误       must be called as chained plugin

    下一步
      在节点上：cniscope doctor config，或在那里用 explain --here 解读
      更多信息：cniscope causes chain-order-wrong
    "#);
}

#[test]
fn the_page_of_the_repository_shows_what_is_told() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/languages.md")).unwrap();
    let event = EVENT.replace(" name=\"pods\"", "");
    for language in ["en", "ru", "zh"] {
        let told = Place::new().cli(&["explain", "--lang", language, &event]).text();
        assert!(page.contains(&format!("```text\n{told}```\n")), "{told}");
    }
}

#[test]
fn the_environment_tells_the_language_and_the_option_decides() {
    let place = Place::new();
    let title = |variables: &[(&str, &str)], arguments: &[&str]| {
        let mut command = place.cli_command(&[&["causes", "unknown"], arguments].concat());
        let output = command.envs(variables.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().next().unwrap().to_owned()
    };
    let [en, ru, zh] =
        ["unknown: the cause is not known", "unknown: причина неизвестна", "unknown: 原因未知"];
    let russian = ("LANG", "ru_RU.UTF-8");
    for (variables, arguments, expected) in [
        (&[russian][..], &[][..], ru),
        (&[russian, ("LC_MESSAGES", "zh_CN.UTF-8")], &[], zh),
        (&[russian, ("LC_ALL", "C")], &[], en),
        (&[("LANG", "eo.UTF-8")], &[], en),
        (&[russian], &["--lang", "zh"], zh),
        (&[russian], &["--lang", "en"], en),
    ] {
        assert_eq!(title(variables, arguments), expected, "{variables:?} {arguments:?}");
    }
}

#[test]
fn a_language_that_is_none_is_wrong_usage() {
    let ran = Place::new().cli(&["causes", "--lang", "eo"]);
    let expected = "error: invalid value 'eo' for '--lang <LANG>'\n  [possible values: en, ru, zh]\n";
    assert_eq!((ran.status, ran.stdout.as_slice()), (2, b"".as_slice()));
    assert!(String::from_utf8(ran.stderr.clone()).unwrap().starts_with(expected), "{ran:?}");
}

/// A node whose network has a plugin that is not there, as `doctor` sees it.
fn ill() -> Place {
    let place = Place::new();
    let list = json!({"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "dummy", "ipam": {"type": "static"}}]});
    for (path, content) in [
        ("etc/hostname", "worker-1\n".to_owned()),
        ("etc/cni/net.d/10-pods.conflist", list.to_string()),
        ("bin/sh", "#!/bin/sh".to_owned()),
        ("opt/cni/bin/static", "#!/bin/sh".to_owned()),
    ] {
        place.put(&format!("node/{path}"), &content);
    }
    place
}

fn doctor(place: &Place, arguments: &[&str]) -> crate::support::Ran {
    let root = place.path("node");
    let about = ["doctor", "plugin-binary", "--cni-path", "/opt/cni/bin", "--root", root.to_str().unwrap()];
    place.cli(&[&about, arguments].concat())
}

#[test]
fn what_doctor_found_is_told_in_russian() {
    let event = "plugin type=\"dummy\" failed (add): failed to find plugin \"dummy\" in path [/opt/cni/bin]";
    let ran = doctor(&ill(), &["--lang", "ru", "--event", event]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (1, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    worker-1: проблем: 1

    событие
      plugin-not-found: плагин dummy: нет ни в одном из каталогов CNI_PATH (/opt/cni/bin)
               признаки   в тексте ошибки есть “failed to find plugin”
                          проверка plugin-binary: плагин dummy: нет ни в одном из каталогов CNI_PATH (/opt/cni/bin)
               решение 1  установите dummy в /opt/cni/bin
               решение 2  установите недостающий файл в один из каталогов CNI_PATH
               решение 3  укажите среде выполнения каталог плагинов (containerd: bin_dir, CRI-O: plugin_dirs), который заполняет дополнение
               решение 4  перезапустите под сетевого дополнения на этом узле: большинство устанавливает свои файлы при старте

    сети
      pods    dummy в /etc/cni/net.d/10-pods.conflist

    проверки
      сбой     plugin-binary  плагин dummy: нет ни в одном из каталогов CNI_PATH (/opt/cni/bin)
               где        dummy в 10-pods.conflist
               причина    plugin-not-found: на узле нет исполняемого файла плагина
               folders    /opt/cni/bin
               binaries   name dummy, role plugin
                          name static, role ipam plugin, path /opt/cni/bin/static, mode 0755, size 9
               решение 1  установите dummy в /opt/cni/bin

    прежде всего
      установите dummy в /opt/cni/bin
    "#);
}

#[test]
fn what_doctor_found_is_told_in_chinese() {
    let ran = doctor(&ill(), &["--lang", "zh"]);
    assert_eq!((ran.status, ran.stderr.as_slice()), (1, b"".as_slice()));
    insta::assert_snapshot!(ran.text(), @r#"
    worker-1: 1 个问题

    网络
      pods    /etc/cni/net.d/10-pods.conflist 中的 dummy

    检查
      失败 plugin-binary  插件 dummy 不在 CNI_PATH 的任何目录中（/opt/cni/bin）
           对象      10-pods.conflist 中的 dummy
           原因      plugin-not-found: 节点上没有该插件的可执行文件
           folders   /opt/cni/bin
           binaries  name dummy, role plugin
                     name static, role ipam plugin, path /opt/cni/bin/static, mode 0755, size 9
           措施 1    把 dummy 安装到 /opt/cni/bin

    首先
      把 dummy 安装到 /opt/cni/bin
    "#);
}

#[test]
fn a_line_for_node_problem_detector_is_english() {
    let expected = doctor(&ill(), &["--one-line"]).answer();
    assert_eq!(doctor(&ill(), &["--one-line", "--lang", "ru"]).answer(), expected);
}

#[test]
fn in_json_only_what_is_said_to_people_follows_the_language() {
    let told =
        |language: &str| Place::new().cli(&["explain", "-o", "json", "--lang", language, EVENT]).json();
    let (mut english, mut russian) = (told("en"), told("ru"));
    for (field, text) in [
        ("title", json!("плагин цепочки запущен не на своём месте")),
        (
            "fix",
            json!([
                "поставьте плагин после того, который создаёт интерфейс",
                "превратите отдельный .conf в .conflist, в котором есть оба плагина",
                "destructive: если сохранённый результат пода потерян, удалите под: будет создана новая песочница",
            ]),
        ),
    ] {
        assert_eq!(russian[field].take(), text, "{field}");
        assert_ne!(english[field].take(), Value::Null, "{field}");
    }
    assert_eq!(russian, english);
}

#[test]
fn the_catalogue_is_told_in_every_language_and_form() {
    let causes = |arguments: &[&str]| Place::new().cli(&[&["causes"], arguments].concat()).text();
    for (language, first, title) in [
        ("ru", "Плагины и конфигурация\n  plugin-not-found          на узле нет", "# Причины\n"),
        ("zh", "插件与配置\n  plugin-not-found          节点上没有", "# 原因\n"),
    ] {
        let list = causes(&["--lang", language]);
        assert!(list.starts_with(first), "{list}");
        let document = causes(&["-o", "markdown", "--lang", language]);
        assert!(document.starts_with(title), "{document}");
        assert_eq!(document.matches("\n### ").count(), 44);
        let all: Value = serde_json::from_str(&causes(&["-o", "json", "--lang", language])).unwrap();
        let ids =
            |all: &Value| all.as_array().unwrap().iter().map(|one| one["id"].clone()).collect::<Vec<_>>();
        let english: Value = serde_json::from_str(&causes(&["-o", "json"])).unwrap();
        assert_eq!(ids(&all), ids(&english));
        assert_ne!(all[0]["about"], english[0]["about"]);
    }
}

#[test]
fn what_a_call_answers_and_records_is_english() {
    let answer = |language: &str| {
        let place = Place::new();
        place.plugin("chained", "echo '{\"code\":7,\"msg\":\"must be called as chained plugin\"}'; exit 1");
        let ran = place.wrapped("ADD", "chained").env("LANG", language).env("LC_ALL", language).run();
        let diagnosis = place.end()["diagnosis"].clone();
        let (status, stdout, stderr) = ran.answer();
        (status, place.steady(&stdout), stderr, diagnosis)
    };
    let english = answer("C");
    assert!(
        english.1.contains("[cniscope: chain-order-wrong: a chained plugin runs where it cannot"),
        "{english:?}"
    );
    assert_eq!(answer("ru_RU.UTF-8"), english);
    assert_eq!(answer("zh_CN.UTF-8"), english);
}
