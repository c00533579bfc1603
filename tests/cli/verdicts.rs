//! `weft test`
use crate::weft::Folder;
use weft::tensors::{TensorForm, read_tensor, tensor_bytes};
use weft_ir::Tensor;

/// A folder with a model and two data sets, the outputs those of the interpreter.
fn with_data() -> Folder {
    let folder = Folder::linear();
    for (set, rows) in [("test_data_set_0", 1u64), ("test_data_set_10", 3)] {
        let elements: Vec<f32> = (0..rows * 8).map(|i| i as f32 * 0.1).collect();
        let input = Tensor::from_slice(&[rows, 8], &elements).unwrap();
        folder.write(&format!("{set}/input_0.pb"), &tensor_bytes("x", &input, TensorForm::Pb).unwrap());
        folder.weft(&format!("run linear.weft --backend interp --inputs {set} --output-dir {set} -q")).done();
    }
    folder
}

#[test]
fn sets_that_agree() {
    let folder = with_data();
    for backend in ["cpu", "interp"] {
        let said = folder.weft(&format!("test linear.weft --backend {backend} -q")).done();
        assert_eq!(said, "test_data_set_0: passed\ntest_data_set_10: passed\n2 passed, 0 failed\n");
    }
    let one = folder.weft("test linear.weft --data test_data_set_10 -q").done();
    assert!(one.ends_with("1 passed, 0 failed\n"), "{one}");
}

#[test]
fn sets_that_do_not() {
    let folder = with_data();
    let place = folder.path("test_data_set_0/output_0.pb");
    let mut elements = read_tensor(&place).unwrap().to_vec::<f32>().unwrap();
    elements[2] += 0.01;
    let wrong = Tensor::from_slice(&[1, 5], &elements).unwrap();
    std::fs::write(&place, tensor_bytes("y", &wrong, TensorForm::Pb).unwrap()).unwrap();
    std::fs::remove_file(folder.path("test_data_set_10/output_0.pb")).unwrap();
    let ended = folder.weft("test linear.weft --backend interp -q");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.out.contains("test_data_set_0: failed: output `y`: 1 of 5 elements differ"),
        "{}",
        ended.out
    );
    assert!(ended.out.contains("test_data_set_10: failed: cannot read"), "{}", ended.out);
    assert!(ended.out.ends_with("0 passed, 2 failed\n"), "{}", ended.out);
    let loose = folder.weft("test linear.weft --backend interp --atol 0.1 --data test_data_set_0 -q").done();
    assert!(loose.ends_with("1 passed, 0 failed\n"), "{loose}");
    let json = folder.weft("test linear.weft --backend interp --json -q");
    let said: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!((said["passed"].as_u64(), said["failed"].as_u64()), (Some(0), Some(2)));
}

#[test]
fn against_the_interpreter() {
    let folder = Folder::linear();
    for rest in ["", "--layers"] {
        let said = folder.weft(&format!("test linear.weft --random 3 --dim N=4 {rest} -q")).done();
        assert_eq!(said, "1 passed, 0 failed\n");
    }
}
